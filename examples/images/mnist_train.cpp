// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_mnist's trainings by other objectives and pairs than those of mnist.cpp.
#include <examples/images/mnist.hpp>
#include <examples/images/train_otherwise.hpp>

template void images::Training<images::Mnist>::train_otherwise();
