// coro for C++20: the C functions of <luacoro/abi.h>, with exceptions for errors. Read that first:
// what L is, what may switch, OS threads and memory are as there.
//
//     int receive(lua_State* L) {                     // Lua: receive(size) -> string
//       std::string data(luacoro::get<std::size_t>(L, 1), '\0');
//       luacoro::waiter waiter(L);
//       start_receiving(data, [done = waiter.get_completer()](std::size_t n) mutable {
//         done.complete(n);
//       });
//       waiter.suspend();                             // other coroutines run here
//       data.resize(luacoro::get<std::size_t>(L, -1));
//       return luacoro::push(L, data);
//     }
//     lua_register(L, "receive", luacoro::function<receive>);
//
// Errors. Nothing here lets a Lua error through C++ frames: it arrives as luacoro::error, which
// keeps the error value. And luacoro::function lets no C++ exception through Lua's: a
// luacoro::error that came from Lua becomes the error that it was, any other std::exception a
// string with its what() and the caller's position. So destructors run whatever ends a coroutine:
// an error, `coro.throw`, `coro.close`. Only the collector, and lua_close, drop a suspended
// coroutine with its frames; nothing in them runs. Exceptions that are no std::exception must not
// leave a function. Functions of Lua's own API that may raise are called inside `protect`, or where
// no frame has destructors to run.
//
// Works with Lua built as C and as C++. No function here is thread-safe.
#pragma once

#include <luacoro/abi.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

namespace luacoro {

// The C functions of L's universe; coro is required if it was not. Valid until the state is closed.
// Throws error.
const luacoro_abi& functions(lua_State* L);

// A value that lives as long as this does. Must not outlive the Lua state. Move-only.
class reference {
 public:
  reference() = default;
  explicit reference(lua_State* L);  // the value on top [-1, +0]; throws error (memory)
  reference(reference&& other) noexcept
      : coro_(std::exchange(other.coro_, nullptr)), number_(other.number_) {}
  reference& operator=(reference&& other) noexcept {
    std::swap(coro_, other.coro_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~reference() { release(); }

  explicit operator bool() const noexcept { return coro_ != nullptr; }
  void push(lua_State* L) const noexcept {  // nil if it is empty [+1]
    lua_rawgeti(L, LUA_REGISTRYINDEX, coro_ != nullptr ? number_ : LUA_NOREF);
  }
  void release() noexcept {
    if (coro_ != nullptr) luaL_unref(coro_->main, LUA_REGISTRYINDEX, number_);
    coro_ = nullptr;
  }
  // The value lives as long as the Lua state, which is not touched.
  void abandon() noexcept { coro_ = nullptr; }

 private:
  const luacoro_abi* coro_ = nullptr;
  int number_ = LUA_NOREF;
};

// A Lua error. Copies share the value; the last must go before the Lua state is closed.
class error : public std::exception {
 public:
  explicit error(std::string text) : text_(std::move(text)) {}
  // The value on top. [-1, +0]
  explicit error(lua_State* L);

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  // Does it come from Lua, and is not to be added to?
  [[nodiscard]] bool is_of_lua() const noexcept { return is_of_lua_; }
  // The value, or the text where it is none. MAY RAISE (memory, for a text). [-0, +1]
  void push(lua_State* L) const {
    if (value_) {
      value_->push(L);
    } else {
      lua_pushlstring(L, text_.data(), text_.size());
    }
  }

 private:
  std::string text_;
  bool is_of_lua_ = false;
  std::shared_ptr<reference> value_;
};

namespace detail {

template <typename F>
struct call {
  F* function;
  std::exception_ptr thrown;
};

template <typename F>
int run(lua_State* L, void* data) {
  auto& self = *static_cast<call<F>*>(data);
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
      (*self.function)();
      return 0;
    } else {
      return (*self.function)();
    }
  } catch (const std::exception&) {  // and not what a Lua built as C++ throws
    self.thrown = std::current_exception();
    lua_settop(L, 0);
    return 0;
  }
}

template <typename F>
int protect_with(const luacoro_abi& coro, lua_State* L, int n, F& function) {
  call<F> what{&function, nullptr};
  const int results = coro.protect(&coro, L, run<F>, &what, n);
  if (results < 0) throw error(L);
  if (what.thrown) std::rethrow_exception(what.thrown);
  return results;
}

}  // namespace detail

// Calls function() so that Lua errors may be raised in it; they come out as luacoro::error, and
// exceptions as they are. It has the n values on top as its only ones, from index 1 on, on the same
// L; it returns the number of results, or nothing. [-n, +results] MAY SWITCH (if it does).
template <typename F>
int protect(lua_State* L, int n, F&& function) {
  return detail::protect_with(functions(L), L, n, function);
}

// Calls the function below the n values on top. The number of results. [-n-1, +results] Throws
// error. MAY SWITCH (if it does).
inline int call(lua_State* L, int n) {
  return protect(L, n + 1, [L] {
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
  });
}

// ---- values -----------------------------------------------------------------------------------

// Pushes values; their number. Throws error (memory). [-0, +n]
//
// bool, integers (beyond those of Lua: floating-point numbers), floating-point numbers, strings,
// nullptr (nil), lua_State* (a thread), reference.
template <typename... Values>
int push(lua_State* L, const Values&... values);

// The value at an index. Throws error, with the text of a bad argument. An index, counted from the
// top or not, must be one of the stack.
//
// bool (any value, as Lua tests it), integers (that fit), floating-point numbers, std::string,
// std::string_view (valid while the value is on the stack), lua_State* (a thread).
template <typename T>
T get(lua_State* L, int index);

// ---- opening ----------------------------------------------------------------------------------

// For hosts: requires coro, which Lua's package.cpath leads to. Throws error.
inline const luacoro_abi& open(lua_State* L) { return functions(L); }
// The same for one that is linked statically: open(L, luaopen_coro). Lua code can require it then.
const luacoro_abi& open(lua_State* L, lua_CFunction opener);

// A lua_CFunction of a function `int f(lua_State*)` that throws. MAY RAISE what f throws.
template <int (*f)(lua_State*)>
int function(lua_State* L);

// ---- switching --------------------------------------------------------------------------------

// As in <luacoro/abi.h>. Numbers of results are returned; errors are thrown. MAY SWITCH.
inline int transfer(lua_State* L, lua_State* to, int n = 0) {
  const luacoro_abi& coro = functions(L);
  const auto go = [&] { return coro.transfer(&coro, L, to, lua_gettop(L)); };
  return detail::protect_with(coro, L, n, go);
}
inline int yield(lua_State* L, int n = 0) {
  const luacoro_abi& coro = functions(L);
  const auto go = [&] { return coro.yield(&coro, L, lua_gettop(L)); };
  return detail::protect_with(coro, L, n, go);
}
// A failed thread's error is thrown.
inline int resume(lua_State* L, lua_State* thread, int n = 0) {
  const luacoro_abi& coro = functions(L);
  const auto go = [&] {
    int r = 0;
    if (coro.resume(&coro, L, thread, lua_gettop(L), &r) == 0) {
      lua_settop(L, 1);
      lua_error(L);
    }
    return r;
  };
  return detail::protect_with(coro, L, n, go);
}
inline int throw_error(lua_State* L, lua_State* to) {  // [-1, +r]
  const luacoro_abi& coro = functions(L);
  const auto go = [&] { return coro.throw_error(&coro, L, to); };
  return detail::protect_with(coro, L, 1, go);
}

// ---- threads ----------------------------------------------------------------------------------

// Keeps a thread alive. Move-only; must not outlive the Lua state. An empty one counts as dead.
class thread {
 public:
  thread() = default;
  // A new one for the function on top. [-1, +0] Throws error.
  static thread create(lua_State* L) { return thread(L, create_on_top(L)); }
  static thread current(lua_State* L) {
    lua_pushthread(L);
    return thread(L, L);
  }
  // The one at an index. Throws error.
  static thread at(lua_State* L, int index) {
    lua_State* T = get<lua_State*>(L, index);
    lua_pushvalue(L, index);
    return thread(L, T);
  }

  explicit operator bool() const noexcept { return static_cast<bool>(kept_); }
  [[nodiscard]] lua_State* get_state() const noexcept { return kept_ ? thread_ : nullptr; }
  void push(lua_State* L) const noexcept { kept_.push(L); }  // [-0, +1]
  [[nodiscard]] luacoro_status status(lua_State* L) const {
    if (!kept_) return LUACORO_DEAD;
    const luacoro_abi& coro = functions(L);
    return coro.status(&coro, L, thread_);
  }
  // Throws the error that it ended with, or that it cannot be closed. MAY SWITCH.
  void close(lua_State* L) const;

 private:
  thread(lua_State* L, lua_State* T) : thread_(T), kept_(L) {}
  static lua_State* create_on_top(lua_State* L);

  lua_State* thread_ = nullptr;
  reference kept_;
};

// ---- waiting ----------------------------------------------------------------------------------

namespace detail {
struct wait {
  explicit wait(lua_State* L) : thread(L), coro(&functions(L)) {}
  lua_State* thread;
  const luacoro_abi* coro;
  luacoro_waiter waiter{};
  std::thread::id os_thread = std::this_thread::get_id();
  bool is_completed = false;
};

// The thread that waits. On another OS thread it cannot be let go of: the Lua state keeps it then.
struct kept_thread {
  reference value;
  std::thread::id os_thread = std::this_thread::get_id();
  ~kept_thread() {
    if (os_thread != std::this_thread::get_id()) value.abandon();
  }
};
}  // namespace detail

// What completes a wait, once, from an event loop. Copyable: copies are for the same wait. Together
// they keep the waiting thread alive; when the last is gone without having completed the wait, the
// thread waits for `throw`, `close` or the collector. So none belongs into the frame that waits,
// which would keep itself alive. Must not outlive the Lua state, nor be destroyed on another OS
// thread: the waiting thread is not let go of then.
class completer {
 public:
  // The coroutine goes on; this returns when control is back. The current thread is main, or the
  // one that is to wait yet; else it is given to complete_in, where an event loop runs in a
  // coroutine. False if nobody waits any more; true also if it is to wait yet, and will not have
  // to. Throws error: of any coroutine that nobody has resumed; misuse (completed twice, another OS
  // thread, a thread that is suspended). MAY SWITCH.
  template <typename... Values>
  bool complete(const Values&... values) {
    return complete_in(nullptr, values...);
  }
  template <typename... Values>
  bool complete_in(lua_State* current, const Values&... values) {
    return finish(current, false, [&](lua_State* L) { return push(L, values...); });
  }
  // The same with an error: a text, a luacoro::error.
  bool fail(const error& what) { return fail_in(nullptr, what); }
  bool fail(std::string text) { return fail(error(std::move(text))); }
  bool fail_in(lua_State* current, const error& what);

 private:
  friend class waiter;
  completer(std::shared_ptr<detail::wait> wait, std::shared_ptr<detail::kept_thread> kept)
      : wait_(std::move(wait)), kept_(std::move(kept)) {}
  template <typename Push>
  bool finish(lua_State* L, bool is_error, Push push_values);

  std::shared_ptr<detail::wait> wait_;
  std::shared_ptr<detail::kept_thread> kept_;
};

// One wait of the current thread, for something that another part of the program completes. Stands
// in the frame that waits.
class waiter {
 public:
  // Throws error (outside a coroutine).
  explicit waiter(lua_State* L);
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;
  ~waiter();

  // To be given to what completes the wait.
  completer get_completer();

  // Suspends until it is completed; `to` goes on, main for null. The number of values, which are on
  // top then. [-0, +r] Throws error: what `fail` is given; of `throw`, `close`, somebody who
  // transferred here instead; that nobody has a completer. MAY SWITCH.
  //
  // While its thread is being closed every wait throws: a loop that goes on waiting after errors
  // must end at "coroutine closed".
  int suspend(lua_State* to = nullptr);

 private:
  std::shared_ptr<detail::wait> wait_;
  std::weak_ptr<detail::kept_thread> kept_;
};

}  // namespace luacoro

#include <luacoro/impl/luacoro.ipp>
