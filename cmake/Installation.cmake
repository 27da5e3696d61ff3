# What `cmake --install` installs, below CMAKE_INSTALL_PREFIX:
#
#   include/luacoro/                    the headers
#   <libdir>/libluacoro_<runtime>.a     coro for hosts that link it
#   <libdir>/cmake/luacoro/             find_package(luacoro)
#   <libdir>/pkgconfig/                 luacoro (the headers), luacoro-<runtime>
#   lib/lua/5.x/coro.so                 the Lua modules, where Lua looks for them in /usr/local; other
#   lib/lua/5.x/coro/loop.so
#   share/lua/5.1/coro.lua              places: CORO_INSTALL_LUA_LIBDIR, CORO_INSTALL_LUA_DATADIR
#
# Lua 5.1 and LuaJIT look in the same folder but need modules of their own: lua51-coro.so and
# luajit-coro.so there, between which coro.lua chooses. The loop uses Lua's API alone, which is the
# same, so the one for 5.1 serves both.
#
# Components: modules (what Lua programs need), development (all else).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(CORO_INSTALL_LUA_LIBDIR lib/lua CACHE STRING "Where folders of C modules for Lua are")
set(CORO_INSTALL_LUA_DATADIR share/lua CACHE STRING "Where folders of Lua modules are")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/luacoro" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT development)

file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/") # wherever it is installed

set(installed luacoro_headers luacoro_asio)
set_target_properties(luacoro_headers PROPERTIES EXPORT_NAME headers)
set_target_properties(luacoro_asio PROPERTIES EXPORT_NAME asio)
set(BOOST_LIBS)
if(CORO_NEEDS_BOOST)
  set(BOOST_LIBS " -lboost_context")
endif()
foreach(runtime IN LISTS CORO_FOUND_RUNTIMES)
  list(APPEND installed luacoro_${runtime})

  set(LUA_REQUIRES)
  if(runtime IN_LIST CORO_RUNTIMES)
    set(LUA_REQUIRES ${runtime})
  endif()
  set(LUA_RUNTIME ${runtime})
  configure_file(cmake/luacoro-runtime.pc.in luacoro-${runtime}.pc @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/luacoro-${runtime}.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

  file(STRINGS "${${runtime}_INCLUDE_DIR}/lua.h" version REGEX "^#define[ \t]+LUA_VERSION_(NUM|MAJOR_N|MINOR_N)[ \t]")
  set(folder)
  if(version MATCHES "LUA_VERSION_NUM[ \t]+50([0-9])")
    set(folder 5.${CMAKE_MATCH_1})
  elseif(version MATCHES "LUA_VERSION_MINOR_N[ \t]+([0-9])")
    set(folder 5.${CMAKE_MATCH_1})
  endif()
  if(NOT folder)
    message(STATUS "${runtime}: version not found in its lua.h, the module is not installed")
    continue()
  endif()
  set(name coro.so)
  if(folder STREQUAL "5.1")
    string(REPLACE "." "" name "${runtime}")
    string(APPEND name -coro.so)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/coro.lua"
      DESTINATION "${CORO_INSTALL_LUA_DATADIR}/5.1" COMPONENT modules)
  endif()
  if(TARGET coro_loop_${runtime} AND NOT (runtime STREQUAL "luajit" AND TARGET coro_loop_lua5.1))
    install(PROGRAMS "$<TARGET_FILE:coro_loop_${runtime}>"
      DESTINATION "${CORO_INSTALL_LUA_LIBDIR}/${folder}/coro" COMPONENT modules)
  endif()
  install(PROGRAMS "$<TARGET_FILE:coro_${runtime}>" RENAME ${name}
    DESTINATION "${CORO_INSTALL_LUA_LIBDIR}/${folder}" COMPONENT modules)
endforeach()

install(TARGETS ${installed} EXPORT luacoro
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(EXPORT luacoro NAMESPACE luacoro:: FILE luacoroTargets.cmake
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/luacoro" COMPONENT development)

configure_file(cmake/luacoro.pc.in luacoro.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/luacoro.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
configure_package_config_file(cmake/luacoroConfig.cmake.in luacoroConfig.cmake
  INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/luacoro")
write_basic_package_version_file(luacoroConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/luacoroConfig.cmake"
              "${PROJECT_BINARY_DIR}/luacoroConfigVersion.cmake"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/luacoro" COMPONENT development)
