// One wait of a thread, and what ended it.
// Floor 5. Knows no Lua: the thread is a number, by which the Lua side of the loop finds it.
//
// A wait may be for several things: a descriptor in one or both directions, a moment, an answer.
// The first that happens ends it, and it is unlinked from the others. Records are used again; the
// operations of Asio that were started for an earlier use find another `use` and do nothing.
#pragma once

#include <array>
#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace luacoro::loop {

using executor = asio::io_context::executor_type;
using clock = std::chrono::steady_clock;
// What no clock can tell, in seconds.
constexpr double never = 1e9;
using timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, executor>;

enum class outcome : std::uint8_t {
  none,       // it goes on
  ready,      // what was waited for is there
  timeout,    // it is not, in time
  closed,     // its descriptor is not watched any more
  cancelled,  // by another thread
  failed      // `error` says why
};

struct descriptor;
struct socket_state;
struct stream_method;

struct address {
  std::string text;
  unsigned port;
  bool is_v6;
};

// What the loop tries when the wait is over, before it continues who waits: a method of a socket.
// The rest of it stands in the frame of that method (streams.h).
struct attempt {
  const stream_method* method = nullptr;  // null: there is nothing to try
  bool is_first = false;                  // nothing was tried before the wait
  bool gives_way = false;                 // the wait was to leave others their turn
  bool writes = false;                    // the direction that the last try asks for
  bool has_partial = false;               // receive: did the last try say what had come?
  int arguments = 0;                      // of the method, besides the socket
  const char* said = nullptr;  // why the last try came no further: "timeout", "wantread" ...
  int chunks = 0;              // receive: so many were received before
  double start = 0;            // when the method was called, if it has a timeout
  std::size_t before = 0;      // receive: the size of the prefix; send: up to where it has sent
  int cut_off = 0;             // receive: why the connection was, if that is known
  socket_state* on = nullptr;
};

struct wait {
  explicit wait(const executor& of, int number) : index(number), alarm(of) {}

  const int index;        // from 1; its own for good
  std::uint32_t use = 0;  // changes when the wait ends
  outcome result = outcome::none;
  bool in_use = false;
  bool can_end = false;  // something was started that will end it
  bool has_alarm = false;
  bool has_values = false;        // the Lua side has values for whoever waits
  bool is_retried = false;        // it is a part of a call, which can be cancelled also after it
  std::array<bool, 2> watches{};  // by direction
  descriptor* on = nullptr;
  std::array<wait*, 2> next_waiting{};  // by direction, of those who wait for the descriptor
  wait* next = nullptr;                 // in the list of those that have ended
  timer alarm;
  loop::attempt attempt;
  std::error_code error;
  std::unique_ptr<std::vector<address>> found;
};

}  // namespace luacoro::loop
