# pkg_config.sh CC PKGCONFIG_FOLDER SOURCE PROGRAM: builds a host in C99 with it and runs it.
set -e
PKG_CONFIG_PATH="$2"
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
"$1" -std=c99 -pedantic -Wall -Wextra -Werror "$3" -o "$4" \
  $(pkg-config --cflags luacoro) $(pkg-config --cflags --libs luacoro-lua5.4)
exec "$4"
