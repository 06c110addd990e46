// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train_by.hpp>

template void table::train_rfm<table::UnetKind>(const TrainingData&);
