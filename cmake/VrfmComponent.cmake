# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_component(<name> LIBRARIES <target>... [DEFINITIONS <macro>...]): the target vrfm::<name>, which
# brings vrfm and what the component needs. Each is installed as an export set of its own; their names
# are in the global property VRFM_COMPONENTS.
function(vrfm_component name)
  cmake_parse_arguments(PARSE_ARGV 1 component "" "" "LIBRARIES;DEFINITIONS")
  add_library(vrfm_${name} INTERFACE)
  add_library(vrfm::${name} ALIAS vrfm_${name})
  set_target_properties(vrfm_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(vrfm_${name} INTERFACE vrfm ${component_LIBRARIES})
  target_compile_definitions(vrfm_${name} INTERFACE ${component_DEFINITIONS})
  set_property(GLOBAL APPEND PROPERTY VRFM_COMPONENTS ${name})
endfunction()
