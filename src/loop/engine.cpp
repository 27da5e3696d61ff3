#include "loop/engine.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <utility>

namespace luacoro::loop {
namespace {

// Of how many forks this process is the child: by it an engine sees that it is in another one than
// before. The C library counts, since to ask the system who we are is a call for each turn.
std::atomic<unsigned> forks{0};

void count_forks() {
  [[maybe_unused]] static const int why =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
}

unsigned forks_so_far() noexcept { return forks.load(std::memory_order_relaxed); }

}  // namespace

// The operations of Asio. The two that are started for each wait are small types of their own.
struct engine::on_ready {
  engine* of;
  descriptor* d;
  direction which;

  // The operation of Asio's stands in the descriptor: there is one at most in each direction.
  template <typename T>
  struct in_place {
    using value_type = T;
    descriptor* d;
    direction which;

    in_place(descriptor* of, direction to) noexcept : d(of), which(to) {}
    template <typename Other>
    explicit in_place(const in_place<Other>& other) noexcept : d(other.d), which(other.which) {}

    T* allocate(std::size_t n) const {
      static_assert(sizeof(T) <= sizeof(descriptor::memory));
      static_assert(alignof(T) <= alignof(descriptor::memory));
      if (n != 1) throw std::bad_alloc();
      descriptor::memory& at = which == reading ? d->to_read : *d->to_write;
      return reinterpret_cast<T*>(at.bytes.data());
    }
    void deallocate(T*, std::size_t) const noexcept {}
    bool operator==(const in_place& other) const noexcept {
      return d == other.d && which == other.which;
    }
  };
  using allocator_type = in_place<void>;
  [[nodiscard]] allocator_type get_allocator() const noexcept { return {d, which}; }

  void operator()(const std::error_code& why) const {
    d->watched[which] = false;
    if (!d->is_open) {
      of->free_if_idle(*d);
      return;
    }
    // `end` takes them out of the list; the last one may release the descriptor.
    of->end_waiting(*d, which, why);
  }
};

struct engine::on_alarm {
  engine* of;
  wait* w;
  std::uint32_t use;

  void operator()(const std::error_code& why) const {
    if (why || w->use != use) return;
    of->end(*w, outcome::timeout);
  }
};

// One OS thread runs it: Asio needs no locks but for what its resolver posts.
engine::engine()
    : context_(ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      always_(context_.get_executor()),
      resolver_(context_.get_executor()) {
  count_forks();
  forks_ = forks_so_far();
}

engine::~engine() {
  for (descriptor* d : by_fd_) {
    if (d != nullptr) release(*d);
  }
  // The operations stand in the descriptors: they end first.
  context_.poll();
  descriptors_.clear();
}

void engine::end_with_state() noexcept {
  see_fork_to_release();
  if (!thread_is_lost_) {
    delete this;
    return;
  }
  // Whoever looks for leaks finds it here.
  static std::atomic<engine*> last_left{nullptr};
  left_before_ = last_left.exchange(this);
}

void engine::see_fork() {
  if (forks_ != forks_so_far()) leave_parent();
}

void engine::see_fork_to_release() noexcept {
  try {
    see_fork();
  } catch (const std::exception&) {
    // Asio has no set of epoll at all then, and so leaves that of the parent alone.
  }
}

// The set of epoll, the timer and the pipe for signals are those of the parent.
void engine::leave_parent() {
  if (has_thread_) thread_is_lost_ = true;
  // What was closed here cannot be registered again. To release it does nothing in the parent,
  // since the system finds registrations by what is open here.
  const unsigned now = forks_so_far();
  const unsigned before = std::exchange(forks_, now);  // `release` does not come here again
  for (descriptor* d : by_fd_) {
    if (d != nullptr && ::fcntl(d->fd, F_GETFD) < 0) release(*d);
  }
  forks_ = before;
  context_.notify_fork(asio::execution_context::fork_child);
  if (!signals_.empty()) {
    // Asio makes a new pipe only if it was told before the fork.
    context_.notify_fork(asio::execution_context::fork_prepare);
    context_.notify_fork(asio::execution_context::fork_child);
  }
  forks_ = now;
}

wait& engine::begin() {
  see_fork();
  if (free_ == nullptr) {
    wait& made = waits_.emplace_back(context_.get_executor(), static_cast<int>(waits_.size()) + 1);
    known_.insert(&made);
    free_ = &made;
  }
  wait& w = *free_;
  free_ = w.next;
  w.in_use = true;
  return w;
}

bool engine::knows(const void* address) const noexcept { return known_.contains(address); }

void engine::expect(wait& w) noexcept {
  if (!w.can_end) ++expected_;
  w.can_end = true;
}

void engine::watch(wait& w, descriptor& d, direction which) {
  wait** last = &d.waiting[which];
  while (*last != nullptr) last = &(*last)->next_waiting[which];
  *last = &w;
  w.on = &d;
  w.watches[which] = true;
  if (!d.watched[which]) start_watching(d, which);
  expect(w);
}

void engine::watch(wait& w, descriptor& d, bool reads, bool writes) {
  if (reads) watch(w, d, reading);
  if (writes) watch(w, d, writing);
}

void engine::watch(wait& w, int fd, bool reads, bool writes) {
  descriptor* d = find(fd);
  if (d == nullptr) {
    // What is ready needs no registration; and what epoll does not know, as files, always is.
    pollfd at{fd, static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
    if (::poll(&at, 1, 0) > 0) {
      w.error = asio::error::bad_descriptor;
      return end(w, (at.revents & POLLNVAL) != 0 ? outcome::failed : outcome::ready);
    }
    d = &add_temporary(fd);
  }
  watch(w, *d, reads, writes);
}

void engine::start_watching(descriptor& d, direction which) {
  if (which == writing && !d.to_write) d.to_write = std::make_unique<descriptor::memory>();
  d.stream.async_wait(which == reading ? asio::posix::descriptor_base::wait_read
                                       : asio::posix::descriptor_base::wait_write,
                      on_ready{this, &d, which});
  d.watched[which] = true;
}

void engine::wake_readers(descriptor& d) noexcept { end_waiting(d, reading, {}); }

void engine::end_waiting(descriptor& d, direction which, const std::error_code& why) noexcept {
  for (wait* w = d.waiting[which]; w != nullptr;) {
    wait* next = w->next_waiting[which];
    w->error = why;
    end(*w, why ? outcome::failed : outcome::ready);
    w = next;
  }
}

void engine::alarm(wait& w, double seconds) {
  if (std::isnan(seconds) || seconds > never) seconds = never;
  w.alarm.expires_after(std::chrono::duration_cast<clock::duration>(
      std::chrono::duration<double>(std::max(seconds, 0.0))));
  w.alarm.async_wait(on_alarm{this, &w, w.use});
  w.has_alarm = true;
  expect(w);
}

void engine::resolve(wait& w, const std::string& host, const std::string& port) {
  const auto answer = [this, &w, use = w.use](const std::error_code& why, const auto& results) {
    if (w.use != use) return;
    w.error = why;
    auto found = std::make_unique<std::vector<address>>();
    for (const auto& result : results) {
      const auto at = result.endpoint();
      found->push_back({at.address().to_string(), at.port(), at.address().is_v6()});
    }
    w.found = std::move(found);
    end(w, why ? outcome::failed : outcome::ready);
  };
  if (thread_is_lost_) {
    std::error_code why;
    const auto results = resolver_.resolve(host, port, why);
    return answer(why, results);
  }
  has_thread_ = true;
  resolver_.async_resolve(host, port, answer);
  expect(w);
}

void engine::expect_signal(wait& w, int number) {
  const auto [at, is_new] = signals_.try_emplace(number, context_.get_executor());
  caught_signal& s = at->second;
  if (is_new) {
    std::error_code why;
    s.set.add(number, why);
    if (why) {
      signals_.erase(at);
      throw std::system_error(why);
    }
    await_signal(s);
  }
  if (s.untaken > 0) {
    --s.untaken;
    return end(w, outcome::ready);
  }
  std::erase_if(s.waiting, std::mem_fn(&caught_signal::waiter::has_gone));
  s.waiting.push_back({&w, w.use});
  expect(w);
}

// Always, so that none is lost between two waits for it.
void engine::await_signal(caught_signal& s) {
  s.set.async_wait([this, &s](const std::error_code& why, int) {
    if (why) return;
    bool is_taken = false;
    for (const auto& waiter : s.waiting) {
      if (waiter.has_gone()) continue;
      end(*waiter.w, outcome::ready);
      is_taken = true;
    }
    s.waiting.clear();
    if (!is_taken) ++s.untaken;
    await_signal(s);
  });
}

void engine::unlink(wait& w) noexcept {
  descriptor* d = w.on;
  if (d == nullptr) return;
  for (const direction which : {reading, writing}) {
    if (!w.watches[which]) continue;
    wait** place = &d->waiting[which];
    while (*place != &w) place = &(*place)->next_waiting[which];
    *place = std::exchange(w.next_waiting[which], nullptr);
    w.watches[which] = false;
  }
  w.on = nullptr;
  if (d->is_temporary && d->waiting[reading] == nullptr && d->waiting[writing] == nullptr)
    release(*d);
}

void engine::end(wait& w, outcome result) noexcept {
  if (!w.in_use || w.result != outcome::none) return;
  unlink(w);
  if (w.has_alarm && result != outcome::timeout) w.alarm.cancel();
  w.has_alarm = false;
  if (w.can_end) --expected_;
  w.can_end = false;
  w.result = result;
  ++w.use;
  append_ended(w);
}

void engine::append_ended(wait& w) noexcept {
  w.next = nullptr;
  (last_ended_ != nullptr ? last_ended_->next : first_ended_) = &w;
  last_ended_ = &w;
  ++ended_;
}

void engine::recycle(wait& w) noexcept {
  w.result = outcome::none;
  w.in_use = false;
  w.has_values = false;
  w.is_retried = false;
  w.attempt.method = nullptr;
  if (w.found) w.found.reset();
  w.next = free_;
  free_ = &w;
}

descriptor& engine::open(int fd) {
  see_fork();
  if (descriptor* d = find(fd)) {
    if (d->is_temporary) {
      d->is_temporary = false;
      return *d;
    }
    release(*d);
  }
  return add(fd);
}

// The one that is registered with that number, and stands for the same file still.
descriptor* engine::find(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  descriptor* d = index < by_fd_.size() ? by_fd_[index] : nullptr;
  if (d == nullptr || !d->is_temporary || d->file == file_identity::of(fd)) return d;
  release(*d);
  return nullptr;
}

descriptor& engine::add(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= by_fd_.size()) by_fd_.resize(index + 1);
  descriptor& d = descriptors_.emplace_back(context_.get_executor(), fd);
  d.self = std::prev(descriptors_.end());
  by_fd_[index] = &d;
  return d;
}

// Asio makes a descriptor non-blocking before it waits for it first, and leaves it so. To wait it
// needs not be; and others, other processes among them, may rely on that it blocks.
descriptor& engine::add_temporary(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  descriptor& d = add(fd);
  d.is_temporary = true;
  d.file = file_identity::of(fd);
  if ((flags & O_NONBLOCK) == 0) {
    std::error_code ignored;
    d.stream.native_non_blocking(true, ignored);
    ::fcntl(fd, F_SETFL, flags);
  }
  return d;
}

void engine::release(int fd) noexcept {
  if (descriptor* d = find(fd)) release(*d);
}

void engine::release(descriptor& d) noexcept {
  if (!d.is_open) return;
  const auto index = static_cast<std::size_t>(d.fd);
  see_fork_to_release();
  if (by_fd_[index] != &d) return;  // that has released it
  d.is_open = false;
  d.is_temporary = false;
  by_fd_[index] = nullptr;
  if (d.owner != nullptr) *d.owner = nullptr;
  for (const direction which : {reading, writing}) {
    while (d.waiting[which] != nullptr) end(*d.waiting[which], outcome::closed);
  }
  d.stream.release();  // what is pending will be told to be aborted
  free_if_idle(d);
}

void engine::free_if_idle(descriptor& d) noexcept {
  if (d.is_open || d.watched[reading] || d.watched[writing]) return;
  descriptors_.erase(d.self);
}

// What Asio has, without blocking.
void engine::poll() {
  see_fork();
  context_.poll();
}

// False if nothing has when the limit has come, or if nothing can end.
bool engine::run_until_ended(std::optional<clock::time_point> limit) {
  see_fork();
  while (ended_ == 0) {
    if (expected_ == 0) return false;
    if (limit && clock::now() >= *limit) {
      poll();  // Asio looks at nothing after its limit, also if that was over from the beginning
      return ended_ != 0;
    }
    limit ? context_.run_one_until(*limit) : context_.run_one();
  }
  return true;
}

wait* engine::next() {
  if (left_in_turn_ == 0) {
    if (ended_ == 0) {
      if (!run_until_ended({})) return nullptr;
    } else if (expected_ != 0) {
      poll();
    }
    left_in_turn_ = ended_;
  }
  --left_in_turn_;
  --ended_;
  wait* w = first_ended_;
  first_ended_ = w->next;
  if (first_ended_ == nullptr) last_ended_ = nullptr;
  return w;
}

std::size_t engine::begin_turn(std::optional<clock::time_point> limit) {
  if (!run_until_ended(limit)) return 0;
  if (expected_ != 0) poll();
  return left_in_turn_ = ended_;
}

}  // namespace luacoro::loop
