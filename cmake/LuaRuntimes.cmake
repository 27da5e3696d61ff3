# Which Luas there are to build for.
#
#   CORO_RUNTIMES     names among lua5.1 lua5.2 lua5.3 lua5.4 luajit, as Debian packages them;
#                     those whose headers are not installed are left out with a message
#   CORO_LUA_NAME, CORO_LUA_INCLUDE_DIR    any other Lua: a name for it and where its lua.h is
#
# Sets CORO_FOUND_RUNTIMES, and for each of them <name>_INCLUDE_DIR, <name>_PROGRAM, and
# <name>_LIBRARY and <name>_CPP_LIBRARY: what hosts link with, built as C and as C++.

set(CORO_RUNTIMES lua5.1 lua5.2 lua5.3 lua5.4 luajit CACHE STRING "Lua runtimes to build for")
set(CORO_LUA_NAME "" CACHE STRING "Name of one more Lua to build for")
set(CORO_LUA_INCLUDE_DIR "" CACHE PATH "Folder of that Lua's lua.h")

set(CORO_FOUND_RUNTIMES)
foreach(runtime IN LISTS CORO_RUNTIMES)
  string(REPLACE "luajit" "luajit-2.1" folder "${runtime}")
  find_path(${runtime}_INCLUDE_DIR lua.h PATH_SUFFIXES ${folder} NO_CMAKE_ENVIRONMENT_PATH)
  find_program(${runtime}_PROGRAM ${runtime})
  string(REPLACE "luajit" "luajit-5.1" library "${runtime}")
  find_library(${runtime}_LIBRARY ${library})
  find_library(${runtime}_CPP_LIBRARY ${library}-c++)
  if(${runtime}_INCLUDE_DIR MATCHES "/${folder}$")
    list(APPEND CORO_FOUND_RUNTIMES ${runtime})
  else()
    message(STATUS "${runtime}: no headers found, left out")
  endif()
endforeach()

if(CORO_LUA_NAME)
  if(NOT EXISTS "${CORO_LUA_INCLUDE_DIR}/lua.h")
    message(FATAL_ERROR "CORO_LUA_INCLUDE_DIR: no lua.h in '${CORO_LUA_INCLUDE_DIR}'")
  endif()
  set(${CORO_LUA_NAME}_INCLUDE_DIR "${CORO_LUA_INCLUDE_DIR}")
  find_program(${CORO_LUA_NAME}_PROGRAM ${CORO_LUA_NAME})
  list(APPEND CORO_FOUND_RUNTIMES ${CORO_LUA_NAME})
endif()
