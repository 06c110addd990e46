// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the sources beside it read, precompiled once: the headers of the contracts.
#pragma once

#include <vrfm/couplings/independent.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/model.hpp>
#include <vrfm/objectives/cross_entropy.hpp>
#include <vrfm/objectives/objective.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/training/optimizer.hpp>
