// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_cifar10: trains, samples and evaluates flows on CIFAR-10.
#include <examples/images/cifar10.hpp>
#include <examples/images/program.hpp>

int main(int argc, char** argv) { return images::program<images::Cifar10>(argc, argv); }
