// stats and configure.
#include <cmath>
#include <cstring>

#include "module/edge.h"
#include "threads/census.h"

namespace luacoro {
namespace {

struct setting {
  const char* name;
  std::size_t settings::*value;
  std::size_t least, most;
  const char* why;  // of the limits
};

constexpr setting known_settings[] = {
    {"stack_size", &settings::stack_size, lua::needed_stack_size, std::size_t{1} << 30,
     "as deep as this Lua lets C functions nest"},
    {"max_stacks", &settings::max_stacks, 1, most_carriers, "a number of C stacks"},
    {"warm_stacks", &settings::warm_stacks, 0, most_carriers, "a number of C stacks"},
    {"max_depth", &settings::max_depth, 200, 1000000, "not less than the standard library allows"},
};

const setting* find_setting(const char* name) noexcept {
  for (const setting& known : known_settings) {
    if (std::strcmp(known.name, name) == 0) return &known;
  }
  return nullptr;
}

void set_field(lua_State* L, const char* name, std::uint64_t value) {
  lua_pushinteger(L, static_cast<lua_Integer>(value));
  lua_setfield(L, -2, name);
}

// Checks the pair at the top of the stack; the setting, whose value is put into `value`.
const setting* check_setting(lua_State* L, std::size_t& value) {
  if (lua_type(L, -2) != LUA_TSTRING) raise_text(L, "configure: names of settings are strings");
  const setting* known = find_setting(lua_tostring(L, -2));
  if (known == nullptr) raise_text(L, "configure: unknown setting '%s'", lua_tostring(L, -2));
  const lua_Number number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  const bool fits = number >= static_cast<lua_Number>(known->least) &&
                    number <= static_cast<lua_Number>(known->most) && std::floor(number) == number;
  if (!fits)
    raise_text(L, "configure: %s must be an integer from %d to %d (%s)", known->name,
               static_cast<int>(known->least), static_cast<int>(known->most), known->why);
  value = static_cast<std::size_t>(number);
  return known;
}

}  // namespace

// configure([settings]) -> the settings in force
int edges::configure(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    settings wanted = rt.configured;
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
      std::size_t value = 0;
      const setting* known = check_setting(L, value);
      wanted.*(known->value) = value;
    }
    rt.pool.give_back_idle();  // they may be of another size, or too many
    rt.configured = wanted;
  }
  lua_createtable(L, 0, 4);
  for (const setting& known : known_settings)
    set_field(L, known.name, rt.configured.*(known.value));
  return 1;
}

// stats() -> table of integers
int edges::stats(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  bury_collected(rt, L);
  std::size_t mounted = 0, pinned = 0;
  for (std::size_t i = 1; i < rt.pool.size(); ++i) {
    const carrier& c = *rt.pool.at(i);
    if (c.suspended == nullptr) continue;
    ++mounted;
    if (!can_unmount(rt, c.suspended, c)) ++pinned;
  }
  lua_createtable(L, 0, 8);
  set_field(L, "threads", living_threads(rt));
  set_field(L, "mounted", mounted);
  set_field(L, "pinned", pinned);
  set_field(L, "stacks_in_use", rt.pool.in_use());
  set_field(L, "stacks_idle", rt.pool.idle());
  set_field(L, "stacks_limit", rt.configured.max_stacks);
  set_field(L, "stack_size", rt.configured.stack_size);
  set_field(L, "switches", rt.switches);
  return 1;
}

}  // namespace luacoro
