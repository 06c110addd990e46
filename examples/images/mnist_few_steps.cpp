// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_mnist's trainings by other objectives and pairs than those of mnist.cpp, and its command sweep.
#include <examples/images/mnist.hpp>
#include <examples/images/sweep.hpp>
#include <examples/images/train_otherwise.hpp>

template void images::Training<images::Mnist>::train_otherwise();
template void images::sweep_command<images::Mnist>(const images::SweepOptions&, const std::string&,
                                                   const vrfm::StopSignal&);
