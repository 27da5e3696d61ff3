#!/usr/bin/env bash
# Fills a folder with Debian's arm64 packages of what the suite needs, unpacked, and with programs
# of the same names as the Lua ones that run those under qemu-user.
#   fetch_aarch64.sh FOLDER
# apt and dpkg of this machine know of no other architecture, before or after.
set -euo pipefail

packages=(
  libboost-context-dev libgtest-dev libasio-dev libssl-dev
  lua5.1 lua5.2 lua5.3 lua5.4 luajit
  liblua5.1-0-dev liblua5.2-dev liblua5.3-dev liblua5.4-dev libluajit-5.1-dev
  lua-socket lua-busted lua-sec lua-penlight lua-lpeg lua-copas lua-luv lua-cqueues
)

folder=$1
complete="$folder/complete"  # with this list
[[ "$(cat "$complete" 2>/dev/null)" == "${packages[*]}" ]] && exit
rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
apt="$folder/apt"
mkdir -p "$apt"/{state/lists,cache/archives}/partial

get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
    -o Dir::State="$apt/state" -o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" \
    -o APT::Sandbox::User=root "$@" >/dev/null
}

echo "Fetching arm64 packages into $folder" >&2
get update
get install --yes --download-only --no-install-recommends "${packages[@]}"
for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$folder"; done
rm -r "$apt"

# Children find the interpreter by the name that they see it started by.
mkdir -p "$folder/usr/local/bin"
for program in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
  cat >"$folder/usr/local/bin/$program" <<TEXT
#!/bin/sh
exec qemu-aarch64 -L '$folder' -0 "\$0" '$folder/usr/bin/$program' "\$@"
TEXT
  chmod +x "$folder/usr/local/bin/$program"
done
echo "${packages[*]}" >"$folder/complete"
