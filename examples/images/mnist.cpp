// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_mnist: trains, samples and evaluates flows on MNIST.
#include <examples/images/mnist.hpp>
#include <examples/images/program.hpp>

int main(int argc, char** argv) { return images::program<images::Mnist>(argc, argv); }
