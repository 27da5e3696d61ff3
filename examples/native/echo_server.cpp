// A host of coroutines over asio::io_context: each connection is a Lua function that reads and
// writes as if it were alone.
//
//   echo_server SCRIPT [argument...]
#include <asio.hpp>
#include <cstdlib>
#include <iostream>
#include <luacoro/asio.hpp>
#include <memory>
#include <new>
#include <string>

extern "C" {
#include <lualib.h>
}

using asio::ip::tcp;

namespace {

asio::io_context context;

// [socket]
// A connection is a userdata. Its methods wait for the operation, and only the coroutine that calls
// them does.
struct connection {
  tcp::socket socket;
  std::string received;
};

connection& check_connection(lua_State* L) {
  return *static_cast<connection*>(luaL_checkudata(L, 1, "connection"));
}

// connection:read_line() -> string or nil at the end
int read_line(lua_State* L) {
  connection& self = check_connection(L);
  asio::error_code error;
  const std::size_t n = asio::async_read_until(self.socket, asio::dynamic_buffer(self.received),
                                               '\n', luacoro::use_coroutine(L)[error]);
  if (error) return luacoro::push(L, nullptr, error.message());
  const std::string line = self.received.substr(0, n - 1);
  self.received.erase(0, n);
  return luacoro::push(L, line);
}

// connection:write(text); raises if that fails
int write(lua_State* L) {
  connection& self = check_connection(L);
  const auto text = luacoro::get<std::string>(L, 2);
  asio::async_write(self.socket, asio::buffer(text), luacoro::use_coroutine(L));
  return 0;
}
// [socket]

// connection:close()
int close(lua_State* L) {
  asio::error_code ignored;
  check_connection(L).socket.close(ignored);
  return 0;
}

int destroy(lua_State* L) {
  check_connection(L).~connection();
  return 0;
}

int push_connection(lua_State* L, tcp::socket socket) {
  return luacoro::protect(L, 0, [&] {
    void* memory = lua_newuserdata(L, sizeof(connection));
    if (luaL_newmetatable(L, "connection") != 0) {
      const luaL_Reg methods[] = {{"read_line", luacoro::function<read_line>},
                                  {"write", luacoro::function<write>},
                                  {"close", close},
                                  {"__gc", destroy}};
      for (const luaL_Reg& method : methods) {
        lua_pushcfunction(L, method.func);
        lua_setfield(L, -2, method.name);
      }
      lua_pushvalue(L, -1);
      lua_setfield(L, -2, "__index");
    }
    new (memory) connection{std::move(socket), {}};
    lua_setmetatable(L, -2);
    return 1;
  });
}

std::unique_ptr<tcp::acceptor> acceptor;

// listen(port) -> port; 0 for any
int listen(lua_State* L) {
  const tcp::endpoint local(asio::ip::address_v4::loopback(), luacoro::get<unsigned short>(L, 1));
  acceptor = std::make_unique<tcp::acceptor>(context, local);
  return luacoro::push(L, acceptor->local_endpoint().port());
}

// accept() -> connection
int accept(lua_State* L) {
  return push_connection(L, acceptor->async_accept(luacoro::use_coroutine(L)));
}

// connect(port) -> connection
int connect(lua_State* L) {
  const tcp::endpoint peer(asio::ip::address_v4::loopback(), luacoro::get<unsigned short>(L, 1));
  tcp::socket socket(context);
  socket.async_connect(peer, luacoro::use_coroutine(L));
  return push_connection(L, std::move(socket));
}

// spawn(f, ...): calls f in a coroutine of its own, when its turn comes
int spawn(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luacoro::spawn(L, context, lua_gettop(L) - 1);
  return 0;
}

// stop(): the program ends
int stop(lua_State*) {
  context.stop();
  return 0;
}

}  // namespace

// [main]
int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: echo_server SCRIPT\n";
    return EXIT_FAILURE;
  }
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  int status = EXIT_SUCCESS;
  try {
    luacoro::open(L, luaopen_coro);  // linked statically; Lua code can require "coro", too
    lua_register(L, "listen", luacoro::function<listen>);
    lua_register(L, "accept", luacoro::function<accept>);
    lua_register(L, "connect", luacoro::function<connect>);
    lua_register(L, "spawn", luacoro::function<spawn>);
    lua_register(L, "stop", luacoro::function<stop>);

    if (luaL_loadfile(L, argv[1]) != 0) throw luacoro::error(L);
    luacoro::spawn(L, context);  // the script itself can wait
    context.run();
  } catch (const std::exception& error) {
    std::cerr << "echo_server: " << error.what() << '\n';
    status = EXIT_FAILURE;
  }
  luacoro::close_waiting(L, context);  // what is in the frames of who waits still is destroyed
  acceptor.reset();
  lua_close(L);
  return status;
}
// [main]
