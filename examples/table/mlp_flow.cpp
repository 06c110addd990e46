// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/flow_of.hpp>

namespace table {

std::unique_ptr<TableFlow> mlp_flow(const Exec& exec, const TableSettings& settings,
                                    const RowShape& shape) {
  return std::make_unique<FlowOf<MlpKind>>(exec, settings, shape);
}

}  // namespace table
