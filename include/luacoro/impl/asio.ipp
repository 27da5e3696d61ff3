// What <luacoro/asio.hpp> declares.
//
//   frame       in the C++ frame that waits; holds the results
//   operation   what the handler owns: the waiter, the thread's reference, the cancellation signal
//   universe    of a Lua state: all operations that are pending; a userdata holds it
//
// Frame and operation know each other, and whoever goes first tells the other. When the Lua state
// is closed it is the universe that tells the operations, since frames go without a word then.
#pragma once

namespace luacoro::detail {

struct operation;

struct frame_base {
  operation* pending = nullptr;
};

struct universe {
  const luacoro_abi* coro;
  lua_State* current;  // where handlers are called, and who goes on when somebody waits
  bool is_closing = false;
  operation* first = nullptr;

  // As a target of the C functions, where main is NULL.
  [[nodiscard]] lua_State* target() const noexcept {
    return current != coro->main ? current : nullptr;
  }
};

struct operation {
  // Of a coroutine that is still to start: nobody waits.
  operation(std::shared_ptr<universe> u, lua_State* L)
      : home(std::move(u)), thread(L), frame(nullptr), next(home->first) {
    if (next != nullptr) next->previous = this;
    home->first = this;
  }
  operation(std::shared_ptr<universe> u, lua_State* L, frame_base& f) : operation(std::move(u), L) {
    frame = &f;
    frame->pending = this;
  }
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;
  ~operation() {
    leave_frame();
    forget_state();
  }

  void leave_frame() noexcept {
    if (frame != nullptr) frame->pending = nullptr;
    frame = nullptr;
  }
  // The thread is not kept alive any more.
  void release() noexcept {
    if (home && kept != LUA_NOREF) luaL_unref(home->coro->main, LUA_REGISTRYINDEX, kept);
    kept = LUA_NOREF;
  }
  void forget_state() noexcept {
    if (!home) return;
    release();
    (previous != nullptr ? previous->next : home->first) = next;
    if (next != nullptr) next->previous = previous;
    home.reset();
  }

  std::shared_ptr<universe> home;  // null: the Lua state is closed
  lua_State* thread;
  std::thread::id os_thread = std::this_thread::get_id();
  frame_base* frame;  // null: completed, or nobody waits any more
  bool is_suspended = false;
  int ended_in = 0;  // the round of close_waiting
  int kept = LUA_NOREF;
  luacoro_waiter waiter{};
  net::cancellation_signal signal;
  operation *previous = nullptr, *next;
};

inline constexpr char universe_key = 0;

// __gc of the userdata.
inline int close_universe(lua_State* L) {
  auto& held = *static_cast<std::shared_ptr<universe>*>(lua_touserdata(L, 1));
  while (held->first != nullptr) {
    operation& op = *held->first;
    op.frame = nullptr;  // the frame is, or will be, no more
    op.kept = LUA_NOREF;
    op.forget_state();
  }
  held.~shared_ptr();
  return 0;
}

inline std::shared_ptr<universe> universe_of(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&universe_key));
  lua_rawget(L, LUA_REGISTRYINDEX);
  auto* held = static_cast<std::shared_ptr<universe>*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  if (held != nullptr) return *held;
  const luacoro_abi& coro = functions(L);
  auto made = std::make_shared<universe>(universe{&coro, coro.main});
  const auto keep = [&] {
    lua_pushlightuserdata(L, const_cast<char*>(&universe_key));
    void* memory = lua_newuserdata(L, sizeof made);
    lua_newtable(L);
    lua_pushcfunction(L, close_universe);
    lua_setfield(L, -2, "__gc");
    new (memory) std::shared_ptr<universe>(made);
    lua_setmetatable(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
  };
  protect_with(coro, L, 0, keep);
  return made;
}

// Who waits for the operation goes on, if somebody is suspended there.
inline void continue_after(operation& op) {
  const std::shared_ptr<universe> home = op.home;
  op.leave_frame();
  op.release();
  if (!op.is_suspended) return;
  lua_State* L = home->current;
  const luacoro_abi& coro = *home->coro;
  switch (coro.complete(&coro, L, &op.waiter, 0)) {
    case LUACORO_FAILED:
    case LUACORO_REFUSED: lua_pop(L, 1); throw error(L);
    case LUACORO_NOT_CURRENT:
      throw std::logic_error("luacoro: a context that runs in a coroutine is run by run_in");
    default: return;
  }
}

template <typename... Args>
struct frame : frame_base {
  std::optional<std::tuple<std::decay_t<Args>...>> results;
};

template <typename... Args>
class handler {
 public:
  using cancellation_slot_type = net::cancellation_slot;

  explicit handler(std::unique_ptr<operation> op) : op_(std::move(op)) {}

  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
    return op_->signal.slot();
  }

  void operator()(Args... args) {
    if (op_->home && op_->os_thread != std::this_thread::get_id()) {
      (void)op_.release();  // it cannot even be destroyed here
      throw std::logic_error("luacoro: the context is run by another OS thread than the Lua state");
    }
    const std::unique_ptr<operation> op = std::move(op_);
    if (!op->home || op->frame == nullptr) return;  // nobody waits
    static_cast<frame<Args...>&>(*op->frame).results.emplace(std::forward<Args>(args)...);
    continue_after(*op);
  }

 private:
  std::unique_ptr<operation> op_;
};

// Once. Throws error.
inline void suspend(operation& op) {
  const luacoro_abi& coro = *op.home->coro;
  lua_State* L = op.thread;
  const auto wait = [&] {
    if (op.kept == LUA_NOREF) {
      lua_pushthread(L);
      op.kept = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    coro.take(&coro, L, &op.waiter);
    op.is_suspended = true;
    coro.suspend(&coro, L, &op.waiter, op.home->target());
  };
  protect_with(coro, L, 0, wait);
}

// Returns when the frame has its results. Throws error, when the operation is over if possible.
template <typename Frame>
void wait_for(Frame& here) {
  struct leaving {
    Frame& from;
    ~leaving() {
      if (from.pending != nullptr) {
        from.pending->release();
        from.pending->leave_frame();
      }
    }
  } at_the_end{here};
  std::exception_ptr failure;
  while (here.pending != nullptr) {
    std::exception_ptr arrived;
    try {
      suspend(*here.pending);
    } catch (const error&) {
      arrived = std::current_exception();
    }
    if (!arrived) continue;
    const bool is_first = !failure;
    if (is_first) failure = arrived;
    if (here.pending == nullptr) break;
    const bool has_waited = here.pending->waiter.wait != 0;
    here.pending->is_suspended = false;
    if (is_first) {
      here.pending->signal.emit(net::cancellation_type::terminal);
    } else if (!has_waited) {
      break;  // there is no way to
    }
  }
  if (failure) std::rethrow_exception(failure);
  if (!here.results) throw error("the operation was dropped without completing");
}

// The function of a thread that is spawned: calls its first argument with the others. Upvalue: the
// universe. Holds nothing while it waits.
inline int run_spawned(lua_State* L) {
  const auto& home = *static_cast<const universe*>(lua_touserdata(L, lua_upvalueindex(1)));
  lua_call(L, lua_gettop(L) - 1, 0);
  const luacoro_abi& coro = *home.coro;
  return coro.transfer(&coro, L, home.target(), 0);
}

// Somebody who waits for an operation, and was ended in one of these rounds.
inline operation* find_waiting(const universe& home, int from, int to) noexcept {
  operation* op = home.first;
  while (op != nullptr && (op->frame == nullptr || op->ended_in < from || op->ended_in >= to))
    op = op->next;
  return op;
}

// In a coroutine that may wait until the other one has ended. Upvalues: the universe, the thread.
inline int close_or_throw(lua_State* L) {
  const auto& home = *static_cast<const universe*>(lua_touserdata(L, lua_upvalueindex(1)));
  const luacoro_abi& coro = *home.coro;
  struct target {
    const luacoro_abi& coro;
    lua_State* T;
  } what{coro, lua_tothread(L, lua_upvalueindex(2))};
  const auto close = [](lua_State* L, void* data) {
    const target& what = *static_cast<target*>(data);
    (void)what.coro.close(&what.coro, L, what.T);
    return 0;
  };
  const bool is_refused = coro.protect(&coro, L, close, &what, 0) < 0;
  if (is_refused) coro.throw_error(&coro, L, what.T);
  return coro.transfer(&coro, L, home.target(), 0);
}

// It is thrown into, as its resumers are to end, too; or closed, if it has waited again. Returns
// when it waits for the context.
inline void end_wait(lua_State* L, const operation& op) {
  const luacoro_abi& coro = *op.home->coro;
  const auto end = [&] {
    lua_pushlightuserdata(L, op.home.get());
    lua_rawgeti(L, LUA_REGISTRYINDEX, op.kept);
    if (op.ended_in == 1) {
      lua_pushliteral(L, "closed by the host");
      coro.throw_error(&coro, L, op.thread);
    } else {
      lua_pushcclosure(L, close_or_throw, 2);
      coro.transfer(&coro, L, coro.create(&coro, L), 0);
    }
  };
  try {
    protect_with(coro, L, 0, end);
  } catch (const error&) {  // of the coroutine
  }
}

inline void start(operation& op) {
  const std::shared_ptr<universe> home = op.home;
  if (!home || home->is_closing) return;
  lua_State* L = home->current;
  const luacoro_abi& coro = *home->coro;
  const int top = lua_gettop(L);
  const auto go = [&] {
    luaL_checkstack(L, 2, "too many values");
    lua_rawgeti(L, LUA_REGISTRYINDEX, op.kept);
    op.release();
    const int kept = lua_gettop(L);
    lua_rawgeti(L, kept, 0);
    const int n = static_cast<int>(lua_tointeger(L, -1));
    lua_pop(L, 1);
    luaL_checkstack(L, n + LUA_MINSTACK, "too many values");
    for (int i = 1; i <= n; ++i) lua_rawgeti(L, kept, i);
    coro.transfer(&coro, L, op.thread, n);
  };
  protect_with(coro, L, 0, go);
  lua_settop(L, top);
}

template <typename Tuple, std::size_t... i>
auto tail_of(Tuple&& all, std::index_sequence<i...>) {
  if constexpr (sizeof...(i) == 1) {
    return std::get<1>(std::move(all));
  } else if constexpr (sizeof...(i) > 1) {
    return std::make_tuple(std::get<i + 1>(std::move(all))...);
  }
}

// What the call returns.
template <typename... Rest>
auto result_of(std::tuple<Rest...>&& all, error_code*) {
  if constexpr (sizeof...(Rest) == 1) {
    return std::get<0>(std::move(all));
  } else if constexpr (sizeof...(Rest) > 1) {
    return std::move(all);
  }
}
template <typename... Rest>
auto result_of(std::tuple<error_code, Rest...>&& all, error_code* code) {
  if (code != nullptr) {
    *code = std::get<0>(all);
  } else if (std::get<0>(all)) {
    throw system_error(std::get<0>(all));
  }
  return tail_of(std::move(all), std::index_sequence_for<Rest...>());
}
template <typename... Rest>
auto result_of(std::tuple<std::exception_ptr, Rest...>&& all, error_code*) {
  if (std::get<0>(all)) std::rethrow_exception(std::get<0>(all));
  return tail_of(std::move(all), std::index_sequence_for<Rest...>());
}

}  // namespace luacoro::detail

template <typename R, typename... Args>
class luacoro::net::async_result<luacoro::use_coroutine, R(Args...)> {
 public:
  using return_type = decltype(luacoro::detail::result_of(
      std::declval<std::tuple<std::decay_t<Args>...>>(), nullptr));

  template <typename Initiation, typename... Rest>
  static return_type initiate(Initiation&& initiation, luacoro::use_coroutine token,
                              Rest&&... rest) {
    namespace detail = luacoro::detail;
    lua_State* L = token.state();
    std::shared_ptr<detail::universe> home = detail::universe_of(L);
    if (home->coro->can_wait(home->coro, L) == 0)
      throw luacoro::error("attempt to wait outside a coroutine that coro runs");
    detail::frame<Args...> here;
    {
      auto op = std::make_unique<detail::operation>(std::move(home), L, here);
      std::forward<Initiation>(initiation)(detail::handler<Args...>(std::move(op)),
                                           std::forward<Rest>(rest)...);
    }
    detail::wait_for(here);
    return detail::result_of(std::move(*here.results), token.code());
  }
};

namespace luacoro {

template <typename Context>
void spawn(lua_State* L, Context& context, int n) {
  std::shared_ptr<detail::universe> home = detail::universe_of(L);
  const luacoro_abi& coro = *home->coro;
  lua_State* T = nullptr;
  int kept = LUA_NOREF;
  // What is kept until it starts: a table of the function and its arguments, and the thread.
  const auto make = [&] {
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    lua_createtable(L, n + 2, 1);
    lua_insert(L, 1);
    for (int i = n + 1; i > 0; --i) lua_rawseti(L, 1, i);
    lua_pushinteger(L, n + 1);
    lua_rawseti(L, 1, 0);
    lua_pushlightuserdata(L, home.get());
    lua_pushcclosure(L, detail::run_spawned, 1);
    T = coro.create(&coro, L);
    lua_rawseti(L, 1, n + 2);
    kept = luaL_ref(L, LUA_REGISTRYINDEX);
  };
  detail::protect_with(coro, L, n + 1, make);
  auto op = std::make_unique<detail::operation>(std::move(home), T);
  op->kept = kept;
  net::post(context, [op = std::move(op)] { detail::start(*op); });
}

template <typename F>
decltype(auto) run_in(lua_State* L, F&& f) {
  const std::shared_ptr<detail::universe> home = detail::universe_of(L);
  struct restoring {
    detail::universe& home;
    lua_State* before;
    ~restoring() { home.current = before; }
  } at_the_end{*home, std::exchange(home->current, L)};
  return std::forward<F>(f)();
}

template <typename Context>
void close_waiting(lua_State* L, Context& context) {
  const std::shared_ptr<detail::universe> home = detail::universe_of(L);
  struct closing {
    detail::universe& home;
    explicit closing(detail::universe& u) : home(u) { home.is_closing = true; }
    ~closing() { home.is_closing = false; }
  } here(*home);
  const auto end_all = [&] {
    for (int round = 1; detail::find_waiting(*home, 0, round) != nullptr; ++round) {
      if (round > 100) throw error("coroutines that are closed wait again and again");
      while (detail::operation* op = detail::find_waiting(*home, 0, round)) {
        op->ended_in = round;
        detail::end_wait(L, *op);
      }
      auto handlers = std::size_t{1};
      while (handlers > 0 && detail::find_waiting(*home, round, round + 1) != nullptr) {
        context.restart();
        try {
          handlers = context.run_one();
        } catch (const error&) {  // of a coroutine
        }
      }
    }
  };
  run_in(L, end_all);
}

}  // namespace luacoro
