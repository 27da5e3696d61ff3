// What <luacoro/luacoro.hpp> declares.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace luacoro {
namespace detail {

// Before coro is there to protect. [-0, +1 if it failed]
inline bool call_unloaded(lua_State* L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  return lua_pcall(L, 0, 0, 0) == 0;
}

inline int load(lua_State* L) {
  (void)luacoro_load(L);
  return 0;
}

inline const luacoro_abi* find_functions(lua_State* L) noexcept {
  lua_getfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  const auto* coro = static_cast<const luacoro_abi*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  const bool fits =
      coro != nullptr && coro->version == LUACORO_ABI_VERSION && coro->size >= sizeof(luacoro_abi);
  return fits ? coro : nullptr;
}

inline std::string text_of(lua_State* L, int index) {
  const int type = lua_type(L, index);
  if (type == LUA_TSTRING) {
    std::size_t size = 0;
    const char* text = lua_tolstring(L, index, &size);
    return {text, size};
  }
  return std::string("(error object is a ") + lua_typename(L, type) + " value)";
}

// What failed left it on top.                                                              [-1, +0]
[[noreturn]] inline void throw_text_on_top(lua_State* L) {
  std::string text = text_of(L, -1);
  lua_pop(L, 1);
  throw error(std::move(text));
}

inline const char* name_of_type(lua_State* L, int index) noexcept {
  return lua_typename(L, lua_type(L, index));
}

[[noreturn]] inline void throw_bad_value(lua_State* L, int index, const char* expected) {
  throw error("bad argument #" + std::to_string(index) + " (" + expected + " expected, got " +
              name_of_type(L, index) + ")");
}

// May raise; called in `protect`.
template <typename T>
void push_one(lua_State* L, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    lua_pushboolean(L, value);
  } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
    lua_pushnil(L);
  } else if constexpr (std::is_integral_v<T>) {
    // On versions whose numbers are all floating-point these have the larger range.
    const auto as_integer = static_cast<lua_Integer>(value);
    const bool fits = static_cast<T>(as_integer) == value && (as_integer < 0) == (value < T(0));
    if (LUA_VERSION_NUM >= 503 && fits) {
      lua_pushinteger(L, as_integer);
    } else {
      lua_pushnumber(L, static_cast<lua_Number>(value));
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    lua_pushnumber(L, static_cast<lua_Number>(value));
  } else if constexpr (std::is_same_v<T, reference>) {
    value.push(L);
  } else if constexpr (std::is_same_v<T, lua_State*>) {
    lua_pushthread(value);
    if (value != L) lua_xmove(value, L, 1);
  } else {
    static_assert(std::is_convertible_v<const T&, std::string_view>,
                  "luacoro::push: no Lua value is made of this type");
    const std::string_view text = value;
    lua_pushlstring(L, text.data(), text.size());
  }
}

template <typename T>
T get_integer(lua_State* L, int index) {
  const lua_Number number = lua_tonumber(L, index);
  if (lua_isnumber(L, index) == 0) throw_bad_value(L, index, "number");
#if LUA_VERSION_NUM >= 503
  int is_integer = 0;
  const lua_Integer value = lua_tointegerx(L, index, &is_integer);
  const bool fits = is_integer != 0 && std::in_range<T>(value);
#else
  // One more than the largest is a power of two, which floating-point has, unlike the largest.
  const bool fits = std::floor(number) == number &&
                    number >= static_cast<lua_Number>(std::numeric_limits<T>::min()) &&
                    number < static_cast<lua_Number>(std::numeric_limits<T>::max() / 2 + 1) * 2;
  const lua_Number value = number;
#endif
  if (!fits)
    throw error("bad argument #" + std::to_string(index) +
                " (number has no representation as an integer of this size)");
  (void)number;
  return static_cast<T>(value);
}

}  // namespace detail

inline const luacoro_abi& functions(lua_State* L) {
  if (const luacoro_abi* coro = detail::find_functions(L)) return *coro;
  if (!detail::call_unloaded(L, detail::load)) detail::throw_text_on_top(L);
  return *detail::find_functions(L);
}

inline const luacoro_abi& open(lua_State* L, lua_CFunction opener) {
  // As pointer to pointer, since data pointers are no pointers to functions.
  struct preload {
    static int run(lua_State* L) {
      lua_getglobal(L, "package");
      if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "preload");
        lua_pushvalue(L, 1);
        lua_setfield(L, -2, "coro");
        return 0;
      }
      lua_settop(L, 1);  // a state without `require`
      lua_pushliteral(L, "coro");
      lua_call(L, 1, 0);
      return 0;
    }
  };
  lua_pushcfunction(L, preload::run);
  lua_pushcfunction(L, opener);
  if (lua_pcall(L, 1, 0, 0) != 0) detail::throw_text_on_top(L);
  return functions(L);
}

inline reference::reference(lua_State* L) {
  const luacoro_abi& coro = functions(L);
  const auto keep = [&] { number_ = luaL_ref(L, LUA_REGISTRYINDEX); };
  detail::protect_with(coro, L, 1, keep);
  coro_ = &coro;
}

inline error::error(lua_State* L) : text_(detail::text_of(L, -1)), is_of_lua_(true) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pop(L, 1);
    return;
  }
  value_ = std::make_shared<reference>(L);
}

template <typename... Values>
int push(lua_State* L, const Values&... values) {
  if constexpr (sizeof...(values) > 0) {
    const auto push_all = [&] {
      luaL_checkstack(L, static_cast<int>(sizeof...(values)), "too many values");
      (detail::push_one<std::decay_t<const Values>>(L, values), ...);
      return static_cast<int>(sizeof...(values));
    };
    return protect(L, 0, push_all);
  }
  return 0;
}

template <typename T>
T get(lua_State* L, int index) {
  if constexpr (std::is_same_v<T, bool>) {
    return lua_toboolean(L, index) != 0;
  } else if constexpr (std::is_integral_v<T>) {
    return detail::get_integer<T>(L, index);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (lua_isnumber(L, index) == 0) detail::throw_bad_value(L, index, "number");
    return static_cast<T>(lua_tonumber(L, index));
  } else if constexpr (std::is_same_v<T, lua_State*>) {
    lua_State* T_ = lua_tothread(L, index);
    if (T_ == nullptr) detail::throw_bad_value(L, index, "thread");
    return T_;
  } else {
    static_assert(std::is_constructible_v<T, const char*, std::size_t>,
                  "luacoro::get: this type is made of no Lua value");
    // Not of numbers, which would be converted in place, in memory.
    if (lua_type(L, index) != LUA_TSTRING) detail::throw_bad_value(L, index, "string");
    std::size_t size = 0;
    const char* text = lua_tolstring(L, index, &size);
    return T(text, size);
  }
}

namespace detail {

// For `function`: what f throws is on top, and -1 is returned.
inline int run_and_catch(lua_State* L, int (*f)(lua_State*)) {
  // Errors that are not Lua's have the position of who called f, as luaL_error's.
  struct request {
    const error* as_error;
    const char* text;
    int level = 2;  // of f's caller, from below `protect`
    static int push_it(lua_State* L, void* data) {
      const auto& what = *static_cast<request*>(data);
      const bool is_of_lua = what.as_error != nullptr && what.as_error->is_of_lua();
      if (!is_of_lua) luaL_where(L, what.level);
      if (what.as_error != nullptr) {
        what.as_error->push(L);
      } else {
        lua_pushstring(L, what.text);
      }
      if (!is_of_lua) lua_concat(L, 2);
      return 1;
    }
    int fail(lua_State* L) {
      lua_settop(L, 0);
      const luacoro_abi* coro = find_functions(L);
      // In vain if it is "not enough memory", which is on top then.
      if (coro != nullptr) {
        (void)coro->protect(coro, L, push_it, this, 0);
      } else {
        level = 1;
        push_it(L, this);
      }
      return -1;
    }
  };
  try {
    return f(L);
  } catch (const error& e) {
    return request{&e, nullptr}.fail(L);
  } catch (const std::exception& e) {
    return request{nullptr, e.what()}.fail(L);
  }
}

}  // namespace detail

template <int (*f)(lua_State*)>
int function(lua_State* L) {
  const int results = detail::run_and_catch(L, f);
  return results >= 0 ? results : lua_error(L);
}

inline lua_State* thread::create_on_top(lua_State* L) {
  const luacoro_abi& coro = functions(L);
  lua_State* T = nullptr;
  const auto make = [&] {
    T = coro.create(&coro, L);
    return 1;
  };
  detail::protect_with(coro, L, 1, make);
  return T;
}

inline void thread::close(lua_State* L) const {
  if (!kept_) return;
  const luacoro_abi& coro = functions(L);
  const auto end = [&] {
    if (coro.close(&coro, L, thread_) == 0) lua_error(L);
  };
  detail::protect_with(coro, L, 0, end);
}

inline waiter::waiter(lua_State* L) : wait_(std::make_shared<detail::wait>(L)) {
  const luacoro_abi& coro = *wait_->coro;
  const auto take = [&] { coro.take(&coro, L, &wait_->waiter); };
  detail::protect_with(coro, L, 0, take);
}

inline waiter::~waiter() { wait_->coro->drop(wait_->coro, wait_->thread, &wait_->waiter); }

inline completer waiter::get_completer() {
  std::shared_ptr<detail::kept_thread> kept = kept_.lock();
  if (!kept) {
    kept = std::make_shared<detail::kept_thread>();
    lua_pushthread(wait_->thread);
    kept->value = reference(wait_->thread);
    kept_ = kept;
  }
  return {wait_, std::move(kept)};
}

inline int waiter::suspend(lua_State* to) {
  if (kept_.expired() && !wait_->is_completed) throw error("nobody can complete this wait");
  const luacoro_abi& coro = *wait_->coro;
  lua_State* L = wait_->thread;
  const auto go = [&] { return coro.suspend(&coro, L, &wait_->waiter, to); };
  return detail::protect_with(coro, L, 0, go);
}

template <typename Push>
bool completer::finish(lua_State* L, bool is_error, Push push_values) {
  const std::shared_ptr<detail::wait> what = wait_;
  const std::shared_ptr<detail::kept_thread> kept = kept_;
  const luacoro_abi& coro = *what->coro;
  if (what->os_thread != std::this_thread::get_id())
    throw error("the wait belongs to another OS thread");
  if (L == nullptr) L = coro.waits(&coro, coro.main) == 0 ? coro.main : what->thread;
  if (coro.waits(&coro, L) != 0)
    throw error("the thread that completes a wait is suspended itself");
  if (what->is_completed) throw error("the wait was completed already");
  const int before = lua_gettop(L);
  const int n = push_values(L);
  what->is_completed = true;
  const luacoro_outcome outcome =
      is_error ? coro.fail(&coro, L, &what->waiter) : coro.complete(&coro, L, &what->waiter, n);
  switch (outcome) {
    case LUACORO_CONTINUED:
    case LUACORO_EARLY: return true;
    case LUACORO_USED:  // by the frame, which is gone
    case LUACORO_NOBODY: return false;
    case LUACORO_REFUSED: what->is_completed = false; [[fallthrough]];
    case LUACORO_FAILED: lua_pop(L, 1); throw error(L);
    case LUACORO_WRONG_THREAD:
    case LUACORO_NOT_CURRENT: break;
  }
  what->is_completed = false;
  lua_settop(L, before);
  throw error("the thread that completes a wait is suspended itself");
}

inline bool completer::fail_in(lua_State* current, const error& what) {
  return finish(current, true, [&](lua_State* L) {
    return protect(L, 0, [&] {
      what.push(L);
      return 1;
    });
  });
}

}  // namespace luacoro
