// The C++ side of wrapped sockets: registration, timeouts, waiting for their methods in Lua.
#include "loop/socket.h"

namespace luacoro::loop {
namespace {

// The file descriptor of the socket at an index; -1 if it is closed.            MAY RAISE. [-0, +0]
int fd_of(lua_State* L, int socket) {
  lua_getfield(L, socket, "getfd");
  lua_pushvalue(L, socket);
  lua_call(L, 1, 1);
  const int fd = to_fd(L, -1);
  lua_pop(L, 1);
  return fd;
}

// new_state(block, total) -> userdata: of a socket with these timeouts, nil for none
int new_state(lua_State* L) {
  const double block = luaL_optnumber(L, 1, no_timeout), total = luaL_optnumber(L, 2, no_timeout);
  auto* s = new (lua_newuserdata(L, sizeof(socket_state))) socket_state;
  s->block = block;
  s->total = total;
  lua_pushvalue(L, lua_upvalueindex(sockets_upvalue));
  lua_setmetatable(L, -2);
  return 1;
}

// release(self): before the socket closes its file descriptor, or gets another one. Whoever waits
// for it is told that it is closed.
int release(lua_State* L) {
  socket_state& s = check_socket(L);
  engine& of = engine_of_function(L);
  if (s.registered != nullptr) {
    of.release(*s.registered);
  } else {
    lua_rawgeti(L, 1, 1);
    of.release(fd_of(L, lua_gettop(L)));  // somebody may wait for it by its number
  }
  s.waits_first = false;
  return 0;
}

// forget_socket(self): it has another socket
int forget_socket(lua_State* L) {
  socket_state& s = check_socket(L);
  s.can_receive = s.can_send = false;
  return 0;
}

// set_timeout(self, mode, seconds or nil): the one for blocking if the mode begins with b, else the
// total one
int set_timeout(lua_State* L) {
  socket_state& s = check_socket(L);
  const char* mode = luaL_checkstring(L, 2);
  (mode[0] == 'b' ? s.block : s.total) = luaL_optnumber(L, 3, no_timeout);
  s.waits_first = false;
  return 0;
}

// timeouts(self) -> block, total: in seconds, -1 for none
int timeouts(lua_State* L) {
  const socket_state& s = check_socket(L);
  lua_pushnumber(L, s.block);
  lua_pushnumber(L, s.total);
  return 2;
}

// start(self) -> when a method is called, for `wait_until_ready`
int start_of_call(lua_State* L) {
  lua_pushnumber(L, check_socket(L).start());
  return 1;
}

// wait_until_ready(self, said, sends, start) -> true, or nil and why not; or nothing if what a
// method said is no reason to wait
int wait_until_ready(lua_State* L) {
  socket_state& s = check_socket(L);
  const readiness to_be = readiness_of(L, 2, lua_toboolean(L, 3) != 0);
  if (to_be.said == nullptr) return 0;
  if (s.block == 0) {
    lua_pushnil(L);
    lua_pushliteral(L, "timeout");
    return 2;
  }
  const double timeout = s.time_left(lua_tonumber(L, 4));
  lua_rawgeti(L, 1, 1);
  register_if_open(L, engine_of_function(L), lua_gettop(L), s);
  return wait_for(L, [&](engine& of, wait& w) {
    w.is_retried = true;
    watch_socket(of, w, s, to_be.writes, timeout);
  });
}

// take_turn(self) -> true if it has its turn at once; else what a sleep of no time returns
int take_turn(lua_State* L) {
  const socket_state& s = check_socket(L);
  if (!must_give_way(L, state_of_function(L), s)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return wait_for(L, [&](engine& of, wait& w) {
    w.is_retried = true;
    of.alarm(w, 0);
  });
}

}  // namespace

socket_state& push_socket_state(lua_State* L, const loop_state& state) {
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 2);
    void* s = lua_touserdata(L, -1);
    if (s != nullptr && lua_getmetatable(L, -1) != 0 && lua_topointer(L, -1) == state.sockets)
      return *static_cast<socket_state*>(s);
  }
  luaL_argerror(L, 1, "wrapped socket expected");
  __builtin_unreachable();
}

socket_state& check_socket(lua_State* L) {
  const int top = lua_gettop(L);
  socket_state& s = push_socket_state(L, state_of_function(L));
  lua_settop(L, top);
  return s;
}

void register_if_open(lua_State* L, engine& of, int socket, socket_state& s) {
  if (s.registered != nullptr || s.is_collected) return;
  const int fd = fd_of(L, socket);
  if (fd < 0) return;
  guarded(L, [&] {
    s.registered = &of.open(fd);
    s.registered->owner = &s.registered;
  });
}

void watch_socket(engine& of, wait& w, const socket_state& s, bool writes, double timeout) {
  if (s.registered == nullptr) return of.end(w, outcome::closed);
  of.watch(w, *s.registered, writes ? writing : reading);
  alarm_if_given(of, w, timeout);
}

readiness readiness_of(lua_State* L, int index, bool sends) noexcept {
  if (lua_type(L, index) != LUA_TSTRING) return {};
  const char* said = lua_tostring(L, index);
  if (std::strcmp(said, "timeout") == 0) return {"timeout", sends};
  if (std::strcmp(said, "wantread") == 0) return {"wantread", false};
  if (std::strcmp(said, "wantwrite") == 0) return {"wantwrite", true};
  return {};
}

int collect_socket(lua_State* L) {
  auto* s = static_cast<socket_state*>(lua_touserdata(L, 1));
  const auto& state = *static_cast<loop_state*>(lua_touserdata(L, lua_upvalueindex(state_upvalue)));
  if (s == nullptr || state.of == nullptr) return 0;
  if (s->registered != nullptr) state.of->release(*s->registered);
  s->is_collected = true;
  return 0;
}

const luaL_Reg socket_functions[] = {{"new_state", new_state},
                                     {"release", release},
                                     {"forget_socket", forget_socket},
                                     {"set_timeout", set_timeout},
                                     {"timeouts", timeouts},
                                     {"start", start_of_call},
                                     {"wait_until_ready", wait_until_ready},
                                     {"take_turn", take_turn},
                                     {nullptr, nullptr}};

}  // namespace luacoro::loop
