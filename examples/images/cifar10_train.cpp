// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_cifar10's trainings by other objectives and pairs than those of cifar10.cpp.
#include <examples/images/cifar10.hpp>
#include <examples/images/train_otherwise.hpp>

template void images::Training<images::Cifar10>::train_otherwise();
