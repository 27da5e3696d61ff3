// Asio: a completion token with which only the calling coroutine waits.
//
//     int read_some(lua_State* L) {                       // Lua: socket:read_some() -> string
//       char data[4096];
//       auto& socket = ...;
//       std::size_t n = socket.async_read_some(asio::buffer(data), luacoro::use_coroutine(L));
//       return luacoro::push(L, std::string_view(data, n));
//     }
//
// The call returns what the operation completes with, in the same C++ frame, without its
// error_code, which is thrown as a system_error: nothing, a value or a std::tuple. An exception_ptr
// is rethrown. With use_coroutine(L)[ec] the error code is put into `ec` instead. The operation may
// complete before its initiating function returns; then nobody waits.
//
// Throws luacoro::error outside a coroutine, before the operation is begun.
//
// Cancellation. When the coroutine is thrown into, closed, or continued by somebody else while it
// waits, the operation is cancelled (terminal); the coroutine waits on until the operation's
// handler was called, so that its buffers and objects are not needed any more, and then throws that
// error. Where it cannot wait, because a `coro.close` in main closes it or in a finalizer, it
// throws at once. The handler is called later then, and what the operation uses must live until
// that: what sockets and timers wait for by themselves ends with them, but composed operations go
// on to use their dynamic buffers (async_read_until) and layers (TLS). So main throws into
// coroutines, or calls close_waiting, and leaves `coro.close` to coroutines.
//
// Threads. The context is run by the OS thread that uses the Lua state. I/O objects of another
// context complete there; the token is bound to this one then:
//     asio::bind_executor(context.get_executor(), luacoro::use_coroutine(L))
// Handlers are called in main, unless the context is run in a coroutine: by run_in(L, ...).
//
// Errors. What a coroutine that nobody has resumed fails with is thrown out of context.run(), which
// can be called again. Misuse is a std::logic_error there, and the coroutine waits on, for `throw`,
// `close` or the collector: a handler that is called on another OS thread than the operation was
// begun on; a context that is run in a coroutine without run_in.
//
// Ending. Pending operations keep their coroutines alive. Timers, sockets and buffers in their
// frames go with the Lua state, so that is closed when no operation uses them any more: after
// close_waiting, which has the frames' destructors run, or after the context was destroyed, when
// none do.
//
// Asio 1.19 or newer; Boost.Asio of Boost 1.77 or newer instead where LUACORO_BOOST_ASIO is
// defined.
#pragma once

#include <luacoro/luacoro.hpp>

#if defined(LUACORO_BOOST_ASIO)
#if !__has_include(<boost/asio/associated_cancellation_slot.hpp>)
#error "luacoro/asio.hpp needs cancellation slots: Boost 1.77 or newer"
#endif
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#else
#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error_code.hpp>
#include <asio/post.hpp>
#include <asio/system_error.hpp>
#endif

#include <optional>
#include <stdexcept>
#include <tuple>

namespace luacoro {

#if defined(LUACORO_BOOST_ASIO)
namespace net = ::boost::asio;
using error_code = ::boost::system::error_code;
using system_error = ::boost::system::system_error;
#else
namespace net = ::asio;
using error_code = ::asio::error_code;
using system_error = ::asio::system_error;
#endif

// The token.
class use_coroutine {
 public:
  // L: what Lua gave to the C function that calls.
  explicit use_coroutine(lua_State* L) noexcept : L_(L) {}
  use_coroutine operator[](error_code& code) const noexcept {
    use_coroutine other(*this);
    other.code_ = &code;
    return other;
  }
  [[nodiscard]] lua_State* state() const noexcept { return L_; }
  [[nodiscard]] error_code* code() const noexcept { return code_; }

 private:
  lua_State* L_;
  error_code* code_ = nullptr;
};

// Posts a start: in a coroutine of its own, the function below the n values on top is called with
// them, when the context runs. [-n-1, +0] Its error is thrown out of context.run(). In contrast to
// coro.resume and coro.transfer, whoever calls this goes on first, and is not waited for.
template <typename Context>
void spawn(lua_State* L, Context& context, int n = 0);

// Calls f(), which runs a context in the current thread L. Needed only where that is not main.
template <typename F>
decltype(auto) run_in(lua_State* L, F&& f);

// Ends every coroutine that waits for an operation, so that the destructors in its frames run:
// throws "closed by the host" into it, and closes it if it waits again. Runs the context, where
// operations are cancelled, until nobody waits any more; errors of the coroutines are dropped, and
// those that were spawned meanwhile do not start. To be called while the context is not running.
// Throws error if coroutines wait again a hundred times, or for what the context does not end; what
// handlers of the context throw. MAY SWITCH.
template <typename Context>
void close_waiting(lua_State* L, Context& context);

}  // namespace luacoro

#include <luacoro/impl/asio.ipp>
