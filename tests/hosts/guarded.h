// An object with a destructor, as frames hold them while they wait; counted.
#pragma once

namespace luacoro::hosts {

struct guarded {
  static inline int alive = 0;
  guarded() { ++alive; }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { --alive; }
};

}  // namespace luacoro::hosts
