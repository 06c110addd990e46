# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# cmake -D INCLUDE_DIR=<folder that holds vrfm/> -P includes.cmake
# Fails if a header includes one that its folder may not use, or not by its full path.
cmake_minimum_required(VERSION 3.22...3.31)

# Each folder may include itself and these, which it does: paths know no network, integrators no model,
# objectives no layer, files nothing but core.
set(folders core linalg layers paths models parallel transport couplings objectives integrators sampling io
  data metrics training)
set(core "")
set(linalg core)
set(layers core linalg)
set(paths core)
set(models core linalg layers paths)
set(parallel core linalg)
set(transport core parallel)
set(couplings core parallel transport)
set(objectives core linalg layers models paths)
set(integrators core linalg paths)
set(sampling core linalg models paths integrators io)
set(io "")
set(data core io)
set(metrics core linalg io parallel transport)
set(training core linalg layers models couplings objectives io parallel)

get_filename_component(INCLUDE_DIR "${INCLUDE_DIR}" ABSOLUTE)
set(violations "")
file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}/vrfm" "${INCLUDE_DIR}/vrfm/*.hpp")
list(SORT headers)
if(NOT headers)
  message(FATAL_ERROR "no headers in ${INCLUDE_DIR}/vrfm")
endif()

foreach(header IN LISTS headers)
  string(REGEX MATCH "^[^/]+(/|$)" folder "${header}")
  if(NOT folder MATCHES "/$")
    continue() # vrfm.hpp and version.hpp belong to no folder
  endif()
  string(REPLACE "/" "" folder "${folder}")
  if(NOT folder IN_LIST folders)
    string(APPEND violations "\n  " "${header} is in a folder without a row in the table")
    continue()
  endif()

  file(STRINGS "${INCLUDE_DIR}/vrfm/${header}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(line MATCHES "include[ \t]*(\"[^\"]*\")")
      string(APPEND violations "\n  " "${header} includes ${CMAKE_MATCH_1}, which is not <vrfm/folder/file.hpp>")
    elseif(line MATCHES "<vrfm/([^/>]+)/([^>]+)>")
      set(target "${CMAKE_MATCH_1}")
      set(path "${CMAKE_MATCH_1}/${CMAKE_MATCH_2}")
      list(APPEND used_by_${folder} "${target}")
      if(NOT target STREQUAL folder AND NOT target IN_LIST ${folder})
        list(JOIN ${folder} " " allowed)
        string(APPEND violations "\n  " "${header} includes ${path}, but ${folder} may use only: ${allowed}")
      endif()
    elseif(line MATCHES "<(vrfm/vrfm.hpp)>")
      string(APPEND violations "\n  " "${header} includes the umbrella ${CMAKE_MATCH_1}")
    endif()
  endforeach()
endforeach()

foreach(folder IN LISTS folders)
  foreach(target IN LISTS ${folder})
    if(NOT target IN_LIST used_by_${folder})
      string(APPEND violations "\n  " "the table lets ${folder} use ${target}, which it does not")
    endif()
  endforeach()
endforeach()

if(violations)
  message(FATAL_ERROR "${violations}")
endif()
