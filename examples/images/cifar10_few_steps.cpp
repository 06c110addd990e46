// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_cifar10's trainings by other objectives and pairs than those of cifar10.cpp, and its command sweep.
#include <examples/images/cifar10.hpp>
#include <examples/images/sweep.hpp>
#include <examples/images/train_otherwise.hpp>

template void images::Training<images::Cifar10>::train_otherwise();
template void images::sweep_command<images::Cifar10>(const images::SweepOptions&,
                                                     const std::string&, const vrfm::StopSignal&);
