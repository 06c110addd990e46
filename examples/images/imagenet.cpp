// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_imagenet: trains, samples and evaluates flows on the latents of ImageNet.
#include <examples/images/imagenet.hpp>
#include <examples/images/program.hpp>

int main(int argc, char** argv) { return images::program<images::Imagenet>(argc, argv); }
