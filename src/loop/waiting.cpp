// The functions that wait, and those that end the waits of others.
#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <limits>

#include "loop/edge.h"

namespace luacoro::loop {
namespace {

// What is on top is what `next` gives for the wait when it has ended.            [-1, +0]
void give_values(lua_State* L, wait& w) {
  lua_rawseti(L, lua_upvalueindex(values_upvalue), w.index);
  w.has_values = true;
}

// The same, and it has ended.                                                              [-1, +0]
void end_with_values(lua_State* L, wait& w) {
  give_values(L, w);
  engine_of_function(L).end(w, outcome::ready);
}

// What was given to a function of the module is wrong: whoever called that is blamed.
// MAY RAISE (always).
[[noreturn]] void misuse(lua_State* L, const char* format, ...) {
  lua_getfield(L, lua_upvalueindex(core_upvalue), "blame");
  va_list values;
  va_start(values, format);
  lua_pushvfstring(L, format, values);
  va_end(values);
  lua_call(L, 1, 0);
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

// wait(fd or nil, "r" or "w" or "rw" [, timeout [, what is kept alive]]); nil: it is closed
int wait_for_descriptor(lua_State* L) {
  const char* mode = lua_isstring(L, 2) != 0 ? lua_tostring(L, 2) : "";
  const bool reads = mode[0] == 'r', writes = mode[reads ? 1 : 0] == 'w';
  if (!(reads || writes) || mode[(reads ? 1 : 0) + (writes ? 1 : 0)] != '\0')
    misuse(L, "wait: 'r', 'w' or 'rw' expected");
  const double timeout = check_timeout(L, 3, "wait");
  const bool is_closed = lua_isnil(L, 1);
  const int fd = to_fd(L, 1);
  if (!is_closed && fd < 0) misuse(L, "wait: a file descriptor expected");
  return wait_for(L, [&](engine& of, wait& w) {
    if (is_closed) return of.end(w, outcome::closed);
    of.watch(w, fd, reads, writes);
    alarm_if_given(of, w, timeout);
  });
}

// sleep(seconds)
int sleep(lua_State* L) {
  const double seconds = check_number(L, 1, "sleep");
  return wait_for(L, [&](engine& of, wait& w) { of.alarm(w, seconds); });
}

// resolve(host [, port]): a number or the name of a service
int resolve(lua_State* L) {
  const char* host = check_name(L, 1, "resolve");
  const char* port = "";
  char digits[8];
  if (lua_type(L, 2) == LUA_TNUMBER) {
    const double number = lua_tonumber(L, 2);
    if (!(number >= 0 && number <= 65535 && number == static_cast<int>(number)))
      misuse(L, "resolve: no port has the number %s", lua_tostring(L, 2));
    std::snprintf(digits, sizeof digits, "%d", static_cast<int>(number));
    port = digits;
  } else if (!lua_isnoneornil(L, 2)) {
    port = check_name(L, 2, "resolve");
  }
  return wait_for(L, [&](engine& of, wait& w) { of.resolve(w, host, port); });
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

// signal(name [, timeout])
int wait_for_signal(lua_State* L) {
  const char* name = check_name(L, 1, "signal");
  const double timeout = check_timeout(L, 2, "signal");
  if (std::strncmp(name, "SIG", 3) == 0) name += 3;
  const auto* found =
      std::find_if(std::begin(known_signals), std::end(known_signals),
                   [name](const known_signal& s) { return std::strcmp(s.name, name) == 0; });
  if (found == std::end(known_signals))
    misuse(L, "signal: no signal to wait for is called '%s'", name);
  return wait_for(L, [&](engine& of, wait& w) {
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
  engine& of = engine_of_function(L);
  wait& w = begin_for(L, of);
  if (is_late) {
    start(L, of, w, [&] { of.alarm(w, seconds); });
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

// park() -> wait: for `wake`. The current thread is to `leave` for it
int park(lua_State* L) {
  const loop_state& state = state_of_function(L);
  check_may_wait(L, state);
  lua_pushlightuserdata(L, &begin(L, state));
  return 1;
}

// leave(wait)
int leave_for(lua_State* L) { return leave(L, state_of_function(L), *check_wait(L)); }

// main_waits() -> boolean
int main_waits(lua_State* L) {
  lua_pushboolean(L, state_of_function(L).main_wait != nullptr);
  return 1;
}

// wake(wait, values): ends it; it gives the values
int wake(lua_State* L) {
  wait* w = check_wait(L);
  lua_settop(L, 2);
  end_with_values(L, *w);
  return 0;
}

// It is over, and nobody is told.
void drop_wait(lua_State* L, wait& w) {
  forget(L, threads_upvalue, w);
  engine_of_function(L).end(w, outcome::cancelled);
}

// drop(wait)
int drop(lua_State* L) {
  drop_wait(L, *check_wait(L));
  return 0;
}

// The wait that the thread is in; null if it is in none of this loop's.
wait* wait_of(const loop_state& state, lua_State* T) {
  if (T == state.coro->main) return state.main_wait;
  const void* mark = state.coro->mark_of(state.coro, T);
  if (mark == nullptr || !state.of->knows(mark)) return nullptr;
  return static_cast<wait*>(const_cast<void*>(mark));
}

// cancel(thread) -> was it in a wait?
int cancel(lua_State* L) {
  const loop_state& state = state_of_function(L);
  lua_State* T = lua_tothread(L, 1);
  if (T == nullptr) misuse(L, "cancel: thread expected, got %s", luaL_typename(L, 1));
  wait* w = T != L || L == state.coro->main ? wait_of(state, T) : nullptr;
  const bool waits = w != nullptr && w->in_use && w->result == outcome::none;
  const bool has_come = w != nullptr && w->in_use && w->is_retried && w != state.continuing &&
                        (w->result == outcome::ready || w->result == outcome::timeout);
  if (waits) state.of->end(*w, outcome::cancelled);
  if (has_come) w->result = outcome::cancelled;
  lua_pushboolean(L, waits || has_come);
  return 1;
}

// is_in(thread, wait) -> boolean: does the thread wait in it?
int is_in(lua_State* L) {
  const loop_state& state = state_of_function(L);
  lua_State* T = lua_tothread(L, 1);
  const wait* w = T != nullptr ? wait_of(state, T) : nullptr;
  lua_pushboolean(L, w != nullptr && w == lua_touserdata(L, 2));
  return 1;
}

// now() -> seconds, of a clock that is never set
int now(lua_State* L) {
  lua_pushnumber(L, now_in_seconds());
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
    lua_pushinteger(L, static_cast<lua_Integer>(at.port));
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

}  // namespace

double check_timeout(lua_State* L, int index, const char* function) {
  if (lua_isnoneornil(L, index)) return no_timeout;
  return std::max(check_number(L, index, function), 0.0);
}

int to_fd(lua_State* L, int index) {
  const double number = lua_tonumber(L, index);
  const bool fits = number >= 0 && number <= std::numeric_limits<int>::max();
  const int fd = fits ? static_cast<int>(number) : -1;
  return fd == number ? fd : -1;
}

double now_in_seconds() noexcept {
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

wait& begin_for(lua_State* L, engine& of) {
  wait* w = nullptr;
  guarded(L, [&] { w = &of.begin(); });
  lua_rawseti(L, lua_upvalueindex(threads_upvalue), w->index);
  return *w;
}

void check_may_wait(lua_State* L, const loop_state& state) {
  if (may_wait(L, state)) return;
  if (L == state.coro->main) misuse(L, "main waits already, below this call");
  misuse(L, "attempt to wait outside a coroutine that coro runs");
}

wait& begin(lua_State* L, const loop_state& state) {
  lua_pushthread(L);
  return begin_for(L, *state.of);
}

void forget(lua_State* L, upvalue table, const wait& w) {
  lua_pushboolean(L, 0);
  lua_rawseti(L, lua_upvalueindex(table), w.index);
}

int leave(lua_State* L, loop_state& state, wait& w) {
  const luacoro_abi* coro = state.coro;
  if (L != coro->main) return coro->leave(coro, L, nullptr, 0, &w);
  const int top = lua_gettop(L);
  wait_in_main(L, state, w);
  return lua_gettop(L) - top;
}

void wait_in_main(lua_State* L, loop_state& state, wait& w) {
  state.main_wait = &w;  // before anything runs that may run the loop
  lua_getfield(L, lua_upvalueindex(core_upvalue), "run_until_main");
  const int status = lua_pcall(L, 0, LUA_MULTRET, 0);
  state.main_wait = nullptr;
  if (status == 0) return;
  // What nothing can end but a `wake` is left to `suspend`, which knows that it is over.
  lua_rawgeti(L, lua_upvalueindex(threads_upvalue), w.index);
  const bool is_mains = lua_tothread(L, -1) == L;
  lua_pop(L, 1);
  if (is_mains && (w.can_end || w.result != outcome::none)) drop_wait(L, w);
  lua_error(L);
}

int push_outcome(lua_State* L, const wait& w) {
  if (w.result != outcome::ready) {
    lua_pushnil(L);
  } else if (w.found) {
    push_addresses(L, *w.found);
  } else {
    lua_pushboolean(L, 1);
  }
  switch (w.result) {
    case outcome::ready: lua_pushnil(L); break;
    case outcome::timeout: lua_pushliteral(L, "timeout"); break;
    case outcome::closed: lua_pushliteral(L, "closed"); break;
    case outcome::failed: push_message(L, w.error); break;
    default: lua_pushliteral(L, "cancelled"); break;
  }
  return 2;
}

const luaL_Reg waiting_functions[] = {{"wait", wait_for_descriptor},
                                      {"sleep", sleep},
                                      {"resolve", resolve},
                                      {"signal", wait_for_signal},
                                      {"schedule", schedule},
                                      {"park", park},
                                      {"leave", leave_for},
                                      {"main_waits", main_waits},
                                      {"wake", wake},
                                      {"drop", drop},
                                      {"cancel", cancel},
                                      {"is_in", is_in},
                                      {"now", now},
                                      {nullptr, nullptr}};

}  // namespace luacoro::loop
