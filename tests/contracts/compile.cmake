# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Compiles one case of a contract's source. Variables: COMPILER; FLAGS, a response file; HEADER, a
# precompiled header to write or to read; SOURCE; CASE, empty for the type that is whole; SENTENCE, what
# the compiler must say of the case, and nothing else that begins with "vrfm: ".
if(NOT SOURCE)
  execute_process(COMMAND ${COMPILER} @${FLAGS} -x c++-header ${HEADER} -o ${HEADER}.gch
    COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()
set(case "")
if(CASE)
  set(case -DCASE_${CASE})
endif()
execute_process(COMMAND ${COMPILER} @${FLAGS} -include ${HEADER} ${case} -fsyntax-only ${SOURCE}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
message("${output}")
if(NOT CASE)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "the type that is whole does not compile")
  endif()
  return()
endif()
if(result EQUAL 0)
  message(FATAL_ERROR "the broken type compiles")
endif()
string(REGEX MATCHALL "error:[^\n]*vrfm: [^\n]*" sentences "${output}")
list(LENGTH sentences count)
string(FIND "${output}" "${SENTENCE}" position)
if(position EQUAL -1 OR NOT count EQUAL 1)
  message(FATAL_ERROR "expected one error, which says: ${SENTENCE}")
endif()
