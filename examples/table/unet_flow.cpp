// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/flow_of.hpp>

namespace table {

std::unique_ptr<TableFlow> unet_flow(const Exec& exec, const TableSettings& settings,
                                     const RowShape& shape) {
  return std::make_unique<FlowOf<UnetKind>>(exec, settings, shape);
}

}  // namespace table
