# Toolchain: AArch64 by Debian's cross compiler, with libraries and Lua programs from a folder
# `sysroot` in the build folder, which tools/fetch_aarch64.sh fills. Programs run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# Not --sysroot: the cross compiler has a C library of its own.
set(sysroot "${CMAKE_CURRENT_LIST_DIR}/../build-aarch64/sysroot")
cmake_path(NORMAL_PATH sysroot)
set(CMAKE_FIND_ROOT_PATH "${sysroot}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM BOTH)  # Lua first, and tools of this machine
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES "${sysroot}/usr/include/aarch64-linux-gnu")
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES "${sysroot}/usr/include/aarch64-linux-gnu")
# Those that libraries of the sysroot need themselves.
add_link_options(-Wl,-rpath-link,${sysroot}/lib/aarch64-linux-gnu
                 -Wl,-rpath-link,${sysroot}/usr/lib/aarch64-linux-gnu)

# It is for the tests: nothing is installed that refers to a folder in the build folder.
set(CMAKE_SKIP_INSTALL_RULES ON)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${sysroot}")
