// A host that ticks thousands of scripts, as games do: each is a coroutine that calls
// wait(seconds) and wait_event(name) wherever it is.
#include <cstdlib>
#include <iostream>
#include <luacoro/luacoro.hpp>
#include <map>
#include <string>
#include <vector>

extern "C" {
#include <lualib.h>
}

namespace {

// [waits]
// Who waits for a time, and who waits for an event.
double game_time = 0;
std::multimap<double, luacoro::completer> sleepers;
std::multimap<std::string, luacoro::completer> listeners;

// Lua: wait(seconds)
int wait(lua_State* L) {
  luacoro::waiter waiter(L);
  sleepers.emplace(game_time + luacoro::get<double>(L, 1), waiter.get_completer());
  return waiter.suspend();
}

// Lua: wait_event(name) -> what it is sent with
int wait_event(lua_State* L) {
  luacoro::waiter waiter(L);
  listeners.emplace(luacoro::get<std::string>(L, 1), waiter.get_completer());
  return waiter.suspend();
}

// A script that fails has failed alone.
template <typename... Values>
void wake(luacoro::completer waiting, const Values&... values) {
  try {
    waiting.complete(values...);
  } catch (const luacoro::error& error) {
    std::cerr << "script: " << error.what() << '\n';
  }
}

void tick(double seconds) {
  game_time += seconds;
  while (!sleepers.empty() && sleepers.begin()->first <= game_time)
    wake(sleepers.extract(sleepers.begin()).mapped());
}

void send(const std::string& name, int value) {
  std::vector<luacoro::completer> woken;  // who waits again is not among them
  const auto [first, last] = listeners.equal_range(name);
  for (auto it = first; it != last; ++it) woken.push_back(it->second);
  listeners.erase(first, last);
  for (const luacoro::completer& listener : woken) wake(listener, value);
}
// [waits]

constexpr const char* script = R"(
  patrols, alarms = 0, 0

  function guard(number)
    while true do
      wait(1 + number % 3)
      patrols = patrols + 1
    end
  end

  function sentry()
    while true do
      local strength = wait_event "alarm"
      alarms = alarms + strength
    end
  end
)";

long global(lua_State* L, const char* name) {
  lua_getglobal(L, name);
  const long value = luacoro::get<long>(L, -1);
  lua_pop(L, 1);
  return value;
}

void play(lua_State* L) {
  luacoro::open(L, luaopen_coro);
  lua_register(L, "wait", luacoro::function<wait>);
  lua_register(L, "wait_event", luacoro::function<wait_event>);
  if (luaL_loadstring(L, script) != 0) throw luacoro::error(L);
  luacoro::call(L, 0);

  std::vector<luacoro::thread> scripts;
  for (int number = 0; number < 3000; ++number) {
    lua_getglobal(L, number % 2 == 0 ? "guard" : "sentry");
    scripts.push_back(luacoro::thread::create(L));
    luacoro::resume(L, scripts.back().get_state(), luacoro::push(L, number));
  }
  for (int frame = 0; frame < 60 * 6; ++frame) {
    tick(1.0 / 64);
    if (frame % 64 == 0) send("alarm", 1);
  }
  std::cout << "patrols: " << global(L, "patrols") << ", alarms: " << global(L, "alarms") << '\n';

  for (const luacoro::thread& each : scripts) each.close(L);
}

}  // namespace

int main() {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  int status = EXIT_SUCCESS;
  try {
    play(L);
  } catch (const std::exception& error) {
    std::cerr << "game: " << error.what() << '\n';
    status = EXIT_FAILURE;
  }
  sleepers.clear();  // completers must not outlive the Lua state
  listeners.clear();
  lua_close(L);
  return status;
}
