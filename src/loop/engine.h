// Starts waits, learns from Asio what ends them, and tells one by one which have ended.
// Floor 5. Knows no Lua and switches nothing: handlers of Asio only put waits into a list.
//
// Not to be used by two OS threads. Names are looked up by an OS thread of Asio's own.
// Errors: std::bad_alloc, and std::system_error where the system has no descriptor for epoll.
#pragma once

#include <asio/basic_signal_set.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/ip/basic_resolver.hpp>
#include <asio/ip/tcp.hpp>
#include <deque>
#include <map>
#include <optional>
#include <unordered_set>

#include "loop/descriptor.h"

namespace luacoro::loop {

class engine {
 public:
  engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  // Deletes it. A forked child leaves it to the end of the process if its parent looked names up:
  // Asio would wait for the OS thread that did so, forever.
  void end_with_state() noexcept;

  // A new wait, for nothing yet. It must be given to `recycle` after it has ended.
  wait& begin();

  // What may end it. A descriptor that nobody has opened is registered for as long as somebody
  // waits for it, if it is not ready at once.
  void watch(wait& w, descriptor& d, direction which);
  void watch(wait& w, descriptor& d, bool reads, bool writes);
  void watch(wait& w, int fd, bool reads, bool writes);
  // Who waits for that is to look: something has come in another way.
  void wake_readers(descriptor& d) noexcept;
  void alarm(wait& w, double seconds);
  void resolve(wait& w, const std::string& host, const std::string& port);
  void expect_signal(wait& w, int number);

  // Ends it. It is told by `next`.
  void end(wait& w, outcome result) noexcept;
  void recycle(wait& w) noexcept;
  // `next` gave it, and gives it again after the others: they can go on if its thread cannot.
  void put_back(wait& w) noexcept { append_ended(w); }
  // Is this the address of a wait?
  [[nodiscard]] bool knows(const void* address) const noexcept;
  // By its index.
  [[nodiscard]] wait& at(int index) noexcept { return waits_[static_cast<std::size_t>(index) - 1]; }

  // The descriptor is registered. If it was for those who wait for it, they go on; if another
  // socket had that number, it is gone: its waits end as `closed`.
  descriptor& open(int fd);
  void release(descriptor& d) noexcept;
  // That with the number, if there is one.
  void release(int fd) noexcept;

  // The next wait that has ended; null if nothing can end any more. Looks at what Asio has at least
  // once for each round of those that have ended, so nobody waits forever because others are always
  // ready.
  wait* next();
  // Waits like `next`, but not beyond the limit; how many waits have ended.
  std::size_t begin_turn(std::optional<clock::time_point> limit);
  [[nodiscard]] bool is_turn_over() const noexcept { return left_in_turn_ == 0; }
  // Can anything end, or has anything?
  [[nodiscard]] bool has_work() const noexcept { return expected_ != 0 || ended_ != 0; }

 private:
  struct on_ready;
  struct on_alarm;

  // From the first wait for it on.
  struct caught_signal {
    explicit caught_signal(const executor& of) : set(of) {}

    struct waiter {
      wait* w;
      std::uint32_t use;
      [[nodiscard]] bool has_gone() const noexcept { return w->use != use; }
    };

    asio::basic_signal_set<executor> set;
    std::size_t untaken = 0;  // how often it came when nobody waited for it
    std::vector<waiter> waiting;
  };

  ~engine();
  // Before anything that the system has of the engine is touched: in a child that was forked since
  // the last time, it gets all of that anew. The parent's is left as it is.
  void see_fork();
  void see_fork_to_release() noexcept;
  void leave_parent();

  descriptor* find(int fd) noexcept;
  descriptor& add(int fd);
  descriptor& add_temporary(int fd);
  void start_watching(descriptor& d, direction which);
  void end_waiting(descriptor& d, direction which, const std::error_code& why) noexcept;
  void await_signal(caught_signal& s);
  void unlink(wait& w) noexcept;
  void append_ended(wait& w) noexcept;
  void free_if_idle(descriptor& d) noexcept;
  void expect(wait& w) noexcept;
  void poll();
  bool run_until_ended(std::optional<clock::time_point> limit);

  unsigned forks_;  // that it has seen
  bool has_thread_ = false;
  bool thread_is_lost_ = false;  // it stayed in the parent: names are looked up without one
  engine* left_before_ = nullptr;
  asio::io_context context_;
  asio::executor_work_guard<executor> always_;  // it never stops: the engine knows when to ask it
  asio::ip::basic_resolver<asio::ip::tcp, executor> resolver_;
  std::map<int, caught_signal> signals_;
  std::deque<wait> waits_;
  std::unordered_set<const void*> known_;
  wait* free_ = nullptr;
  std::list<descriptor> descriptors_;  // released ones, too, while something of Asio's is pending
  std::vector<descriptor*> by_fd_;     // those that are open

  wait* first_ended_ = nullptr;
  wait* last_ended_ = nullptr;
  std::size_t ended_ = 0;
  std::size_t left_in_turn_ = 0;
  std::size_t expected_ = 0;  // waits that go on and can end
};

}  // namespace luacoro::loop
