#include "loop/edge.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <limits>

namespace luacoro::loop {
namespace {

// What the loop has of a wait that is over.
void forget(lua_State* L, upvalue table, const wait& w) {
  lua_pushboolean(L, 0);
  lua_rawseti(L, lua_upvalueindex(table), w.index);
}

// A wait of the thread on top, which is kept alive by it.                        [-1, +0]
wait& begin_for(lua_State* L) {
  engine& of = engine_of_function(L);
  wait* w = nullptr;
  guarded(L, [&] { w = &of.begin(); });
  lua_rawseti(L, lua_upvalueindex(threads_upvalue), w->index);
  return *w;
}

// A wait of the current thread.
wait& begin(lua_State* L) {
  lua_pushthread(L);
  return begin_for(L);
}

// What is on top is what `next` gives for the wait when it has ended.            [-1, +0]
void give_values(lua_State* L, wait& w) {
  lua_rawseti(L, lua_upvalueindex(values_upvalue), w.index);
  w.has_values = true;
}

void end_with_values(lua_State* L, wait& w) {
  give_values(L, w);
  engine_of_function(L).end(w, outcome::ready);
}

// Starts what may end a wait, for a function that returns the wait and whether main waits. What the
// system refuses ends it at once. If memory is short it has ended, and nobody is in it.
template <typename F>
int start(lua_State* L, wait& w, F f) {
  engine& of = engine_of_function(L);
  guarded(L, [&] {
    try {
      f(of);
    } catch (const std::system_error& why) {
      w.error = why.code();
      of.end(w, outcome::failed);
    } catch (...) {
      of.end(w, outcome::cancelled);
      throw;
    }
  });
  lua_pushlightuserdata(L, &w);
  const int is_main = lua_pushthread(L);
  lua_pop(L, 1);
  lua_pushboolean(L, is_main);
  return 2;
}

// What was given to a function of the module is wrong: whoever called that, two levels up, is
// blamed. MAY RAISE (always).
[[noreturn]] void misuse(lua_State* L, const char* format, ...) {
  luaL_where(L, 2);
  va_list values;
  va_start(values, format);
  lua_pushvfstring(L, format, values);
  va_end(values);
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable();
}

// A number for the module's function of that name.
double check_number(lua_State* L, int index, const char* function) {
  if (lua_isnumber(L, index) == 0)
    misuse(L, "%s: number expected, got %s", function, luaL_typename(L, index));
  return lua_tonumber(L, index);
}

const char* check_name(lua_State* L, int index, const char* function) {
  if (lua_isstring(L, index) == 0)
    misuse(L, "%s: name expected, got %s", function, luaL_typename(L, index));
  return lua_tostring(L, index);
}

constexpr double no_timeout = -1;

void alarm_if_given(engine& of, wait& w, double seconds) {
  if (seconds >= 0 && w.result == outcome::none) of.alarm(w, seconds);
}

// None and nil: no timeout. A negative one, as what is left until some moment may be, is over.
double check_timeout(lua_State* L, int index, const char* function) {
  if (lua_isnoneornil(L, index)) return no_timeout;
  return std::max(check_number(L, index, function), 0.0);
}

// -1 for what is no number of a descriptor.
int to_fd(lua_State* L, int index) {
  const double number = lua_tonumber(L, index);
  const bool fits = number >= 0 && number <= std::numeric_limits<int>::max();
  const int fd = fits ? static_cast<int>(number) : -1;
  return fd == number ? fd : -1;
}

// open(fd) -> descriptor: registered until it is released or collected
int open(lua_State* L) {
  engine& of = engine_of_function(L);
  const int fd = to_fd(L, 1);
  if (fd < 0) return 0;
  auto** owner = static_cast<descriptor**>(lua_newuserdata(L, sizeof(descriptor*)));
  *owner = nullptr;
  lua_pushvalue(L, lua_upvalueindex(descriptors_upvalue));
  lua_setmetatable(L, -2);
  guarded(L, [&] {
    *owner = &of.open(fd);
    (*owner)->owner = owner;
  });
  return 1;
}

// release(descriptor): whoever waits for it is told that it is closed. Their __gc, too.
int release(lua_State* L) {
  auto** owner = static_cast<descriptor**>(lua_touserdata(L, 1));
  if (owner == nullptr) return luaL_argerror(L, 1, "a descriptor expected");
  if (*owner != nullptr) engine_of_function(L).release(**owner);
  return 0;
}

// has_ended(fd) -> true, or false and an error as LuaSocket has it: has the stream ended, or was
// the connection cut off? nil if neither: there is more, or may be.
int has_ended(lua_State* L) {
  char next;
  const ssize_t n = ::recv(to_fd(L, 1), &next, 1, MSG_PEEK | MSG_DONTWAIT);
  const int why = errno;
  if (n > 0 || (n < 0 && (why == EAGAIN || why == EWOULDBLOCK || why == EINTR))) return 0;
  lua_pushboolean(L, n == 0);
  if (n == 0) return 1;
  lua_pushstring(L, why == ECONNRESET ? "closed" : std::strerror(why));
  return 2;
}

// watch(descriptor or fd, "r" or "w" or "rw" [, timeout]) -> wait, is_main
// A descriptor that is released, and nil: closed.
int watch(lua_State* L) {
  const char* mode = lua_isstring(L, 2) != 0 ? lua_tostring(L, 2) : "";
  const bool reads = mode[0] == 'r', writes = mode[reads ? 1 : 0] == 'w';
  if (!(reads || writes) || mode[(reads ? 1 : 0) + (writes ? 1 : 0)] != '\0')
    misuse(L, "wait: 'r', 'w' or 'rw' expected");
  const double timeout = check_timeout(L, 3, "wait");
  descriptor** owner = nullptr;
  int fd = -1;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    fd = to_fd(L, 1);
    if (fd < 0) misuse(L, "wait: a file descriptor expected");
  } else {
    // Nobody but src/loop/*.lua calls this: it is not checked what kind of userdata it is.
    owner = static_cast<descriptor**>(lua_touserdata(L, 1));
  }
  wait& w = begin(L);
  return start(L, w, [&](engine& of) {
    if (owner != nullptr && *owner != nullptr) {
      of.watch(w, **owner, reads, writes);
    } else if (fd >= 0) {
      of.watch(w, fd, reads, writes);
    } else {
      of.end(w, outcome::closed);
    }
    alarm_if_given(of, w, timeout);
  });
}

// alarm(seconds) -> wait, is_main
int alarm(lua_State* L) {
  const double seconds = check_number(L, 1, "sleep");
  wait& w = begin(L);
  return start(L, w, [&](engine& of) { of.alarm(w, seconds); });
}

// park([timeout]) -> wait, is_main: for `wake`
int park(lua_State* L) {
  const double timeout = check_timeout(L, 1, "suspend");
  wait& w = begin(L);
  return start(L, w, [&](engine& of) { alarm_if_given(of, w, timeout); });
}

// resolve(host, port or "") -> wait, is_main
int resolve(lua_State* L) {
  const char* host = check_name(L, 1, "resolve");
  const char* port = check_name(L, 2, "resolve");
  wait& w = begin(L);
  return start(L, w, [&](engine& of) { of.resolve(w, host, port); });
}

struct known_signal {
  const char* name;
  int number;
};
constexpr known_signal known_signals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ALRM", SIGALRM},
    {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"CHLD", SIGCHLD},
    {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"PIPE", SIGPIPE}, {"URG", SIGURG},   {"IO", SIGIO},     {"WINCH", SIGWINCH}};

// signal(name [, timeout]) -> wait, is_main
int expect_signal(lua_State* L) {
  const char* name = check_name(L, 1, "signal");
  const double timeout = check_timeout(L, 2, "signal");
  if (std::strncmp(name, "SIG", 3) == 0) name += 3;
  const auto* found =
      std::find_if(std::begin(known_signals), std::end(known_signals),
                   [name](const known_signal& s) { return std::strcmp(s.name, name) == 0; });
  if (found == std::end(known_signals))
    misuse(L, "signal: no signal to wait for is called '%s'", name);
  wait& w = begin(L);
  return start(L, w, [&](engine& of) {
    of.expect_signal(w, found->number);
    alarm_if_given(of, w, timeout);
  });
}

// schedule(thread, values [, seconds]) -> wait: a thread that has not started gets the values, a
// table with a count, when its turn comes or after some time
int schedule(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  const bool is_late = !lua_isnoneornil(L, 3);
  const double seconds = is_late ? luaL_checknumber(L, 3) : 0;
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  wait& w = begin_for(L);
  if (is_late) {
    start(L, w, [&](engine& of) { of.alarm(w, seconds); });
    lua_settop(L, 2);
    give_values(L, w);
  } else {
    end_with_values(L, w);
  }
  lua_pushlightuserdata(L, &w);
  return 1;
}

wait* check_wait(lua_State* L) {
  void* address = lua_touserdata(L, 1);
  if (!lua_islightuserdata(L, 1) || !engine_of_function(L).knows(address))
    luaL_argerror(L, 1, "a wait expected");
  return static_cast<wait*>(address);
}

// wake(wait, values): ends it; `next` gives the values
int wake(lua_State* L) {
  wait* w = check_wait(L);
  lua_settop(L, 2);
  end_with_values(L, *w);
  return 0;
}

// drop(wait): it is over, and nobody is told
int drop(lua_State* L) {
  wait* w = check_wait(L);
  forget(L, threads_upvalue, *w);
  engine_of_function(L).end(*w, outcome::cancelled);
  return 0;
}

// The wait that a thread stands in: its innermost function in Lua, below `transfer`, has it as its
// first local variable. Null for a thread that is anywhere else: whoever continued it meanwhile,
// its wait is over. One that died of an error still shows the frames that it died in.
void* wait_of(lua_State* T) {
  lua_Debug frame;
  if (lua_status(T) > LUA_YIELD) return nullptr;
  if (lua_getstack(T, 1, &frame) == 0 || lua_getlocal(T, &frame, 1) == nullptr) return nullptr;
  void* address = lua_islightuserdata(T, -1) ? lua_touserdata(T, -1) : nullptr;
  lua_pop(T, 1);
  return address;
}

bool is_fresh(lua_State* T) {
  lua_Debug frame;
  return lua_status(T) == 0 && lua_getstack(T, 0, &frame) == 0 && lua_gettop(T) == 1;
}

// cancel(thread, or the wait that main is in) -> was it in a wait?
int cancel(lua_State* L) {
  engine& of = engine_of_function(L);
  void* address = nullptr;
  if (lua_islightuserdata(L, 1)) {
    address = lua_touserdata(L, 1);
  } else {
    lua_State* T = lua_tothread(L, 1);
    if (T == nullptr) misuse(L, "cancel: thread expected, got %s", luaL_typename(L, 1));
    if (T != L) address = wait_of(T);
  }
  const bool waits = address != nullptr && of.knows(address) &&
                     static_cast<wait*>(address)->in_use &&
                     static_cast<wait*>(address)->result == outcome::none;
  if (waits) of.end(*static_cast<wait*>(address), outcome::cancelled);
  lua_pushboolean(L, waits);
  return 1;
}

// What a lookup found, as LuaSocket's getaddrinfo shows it.                               [-0, +1]
void push_addresses(lua_State* L, const std::vector<address>& found) {
  lua_createtable(L, static_cast<int>(found.size()), 0);
  int count = 0;
  for (const address& at : found) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, at.text.c_str());
    lua_setfield(L, -2, "addr");
    lua_pushstring(L, at.is_v6 ? "inet6" : "inet");
    lua_setfield(L, -2, "family");
    lua_pushnumber(L, at.port);
    lua_setfield(L, -2, "port");
    lua_rawseti(L, -2, ++count);
  }
}

// LuaSocket's text for what may come of looking a name up, since libraries compare it; or null.
const char* text_of_lookup(const std::error_code& why) noexcept {
  if (why == asio::error::host_not_found) return "host or service not provided, or not known";
  if (why == asio::error::host_not_found_try_again) return "temporary failure in name resolution";
  if (why == asio::error::no_recovery) return "non-recoverable failure in name resolution";
  if (why == asio::error::service_not_found) return "service not supported for socket type";
  return nullptr;
}

// Of std::error_code: a text, without a C++ string in a frame that may raise.             [-0, +1]
void push_message(lua_State* L, const std::error_code& why) {
  if (const char* known = text_of_lookup(why)) {
    lua_pushstring(L, known);
    return;
  }
  if (why.category() == asio::error::get_system_category()) {
    lua_pushstring(L, std::strerror(why.value()));
    return;
  }
  char text[128] = "";
  try {
    std::strncpy(text, why.message().c_str(), sizeof text - 1);
  } catch (const std::bad_alloc&) {
    text[0] = '\0';
  }
  lua_pushstring(L, text);
}

// What the functions that wait return: true or what was found, or nil and why not.         [-0, +2]
int push_outcome(lua_State* L, const wait& w) {
  switch (w.result) {
    case outcome::ready:
      if (w.found) {
        push_addresses(L, *w.found);
      } else {
        lua_pushboolean(L, 1);
      }
      return 1;
    case outcome::timeout: lua_pushnil(L), lua_pushliteral(L, "timeout"); break;
    case outcome::closed: lua_pushnil(L), lua_pushliteral(L, "closed"); break;
    case outcome::failed: lua_pushnil(L), push_message(L, w.error); break;
    default: lua_pushnil(L), lua_pushliteral(L, "cancelled"); break;
  }
  return 2;
}

std::optional<clock::time_point> limit_of(double timeout) {
  if (!(timeout >= 0)) return {};
  return clock::now() + std::chrono::duration_cast<clock::duration>(
                            std::chrono::duration<double>(std::min(timeout, 1e9)));
}

// next([timeout]) -> thread, values or nil, ...: who goes on, and what with; nothing if nothing
// ended in time, or if nothing can.
int next(lua_State* L) {
  engine& of = engine_of_function(L);
  const double timeout = check_timeout(L, 1, "step");
  for (;;) {
    wait* w = nullptr;
    guarded(L, [&] { w = of.next(limit_of(timeout)); });
    if (w == nullptr) return 0;
    lua_settop(L, 0);
    lua_rawgeti(L, lua_upvalueindex(threads_upvalue), w->index);
    lua_State* T = lua_tothread(L, 1);
    const bool has_values = w->has_values;
    forget(L, threads_upvalue, *w);
    if (has_values) {
      lua_rawgeti(L, lua_upvalueindex(values_upvalue), w->index);
      forget(L, values_upvalue, *w);
    } else {
      lua_pushnil(L);
    }
    // Main, if it is T, waits in the function that calls this.
    const bool goes_on = T != nullptr && (T == L || wait_of(T) == w || (has_values && is_fresh(T)));
    const int n = goes_on && !has_values ? push_outcome(L, *w) : 0;
    of.recycle(*w);
    if (goes_on) return 2 + n;
  }
}

// begin_turn([timeout]) -> how many have ended
int begin_turn(lua_State* L) {
  engine& of = engine_of_function(L);
  const double timeout = check_timeout(L, 1, "step");
  std::size_t ended = 0;
  guarded(L, [&] { ended = of.begin_turn(limit_of(timeout)); });
  lua_pushnumber(L, static_cast<lua_Number>(ended));
  return 1;
}

// has_work() -> boolean: is there anything that has ended or can?
int has_work(lua_State* L) {
  lua_pushboolean(L, engine_of_function(L).has_work());
  return 1;
}

// now() -> seconds, of a clock that is never set
int now(lua_State* L) {
  const std::chrono::duration<double> seconds = clock::now().time_since_epoch();
  lua_pushnumber(L, seconds.count());
  return 1;
}

int close_engine(lua_State* L) {
  auto** of = static_cast<engine**>(lua_touserdata(L, 1));
  if (*of != nullptr) (*of)->end_with_state();
  *of = nullptr;
  return 0;
}

constexpr luaL_Reg functions[] = {{"open", open},
                                  {"release", release},
                                  {"has_ended", has_ended},
                                  {"watch", watch},
                                  {"alarm", alarm},
                                  {"park", park},
                                  {"resolve", resolve},
                                  {"signal", expect_signal},
                                  {"schedule", schedule},
                                  {"wake", wake},
                                  {"drop", drop},
                                  {"cancel", cancel},
                                  {"next", next},
                                  {"begin_turn", begin_turn},
                                  {"now", now},
                                  {"has_work", has_work}};

// With the values at `first` and after as upvalues.                                       [-0, +1]
void push_function(lua_State* L, lua_CFunction function, int first) {
  for (int i = 0; i < upvalues; ++i) lua_pushvalue(L, first + i);
  lua_pushcclosure(L, function, upvalues);
}

}  // namespace

void push_functions(lua_State* L) {
  const int first = lua_gettop(L) + 1;
  auto** of = static_cast<engine**>(lua_newuserdata(L, sizeof(engine*)));
  *of = nullptr;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_engine);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  guarded(L, [of] { *of = new engine; });
  lua_newtable(L);
  lua_newtable(L);
  // Of this engine alone: a state may have several, since a module can be loaded again.
  lua_createtable(L, 0, 1);
  push_function(L, release, first);
  lua_setfield(L, -2, "__gc");

  lua_createtable(L, 0, static_cast<int>(std::size(functions)));
  for (const luaL_Reg& f : functions) {
    push_function(L, f.func, first);
    lua_setfield(L, -2, f.name);
  }
  lua_insert(L, first);
  lua_settop(L, first);
}

}  // namespace luacoro::loop
