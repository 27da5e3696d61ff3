// Mounted or unmounted: which of the suspended threads keep their C stacks though they need not.
// Floor 3.
//
// To come back to a mounted thread is cheaper as long as its C stack is in the caches, and few are:
// so there are `warm_stacks` of those. The first that come stay; after that it is time that tells.
//
//   hot    came back within warm_stacks switches: so long a round of all warm threads may take
//   cold   mounted, and has not come back for eight times as long
//
// A hot thread takes the place of a cold one, which is unmounted; without a cold one, or if it is
// not hot itself, it is unmounted. So a few threads that are switched to again and again get the C
// stacks whoever had them before, and rounds of many threads, where each waits for all others,
// change nothing and cost nothing. Only one mounted thread is looked at each time.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

inline constexpr std::uint64_t never = UINT64_MAX;
inline constexpr std::uint64_t cold_factor = 8;

// Unmounts a mounted thread that could be, from outside.
void unmount(runtime& rt, carrier& on) noexcept;

// Both unmount no thread on `target`, and none that the collector has found unreachable.
// The next one in turn that could be unmounted: was there one?
[[nodiscard]] bool unmount_a_warm_one(runtime& rt, const carrier* target) noexcept;
// Looks at one thread only: was it cold, and is unmounted now?
[[nodiscard]] bool unmount_a_cold_one(runtime& rt, const carrier* target) noexcept;

// The thread that is mounted there goes on next, though finalizers may run before: it is found
// where it is now.
inline void keep_mounted(runtime& rt, carrier& on) noexcept {
  rt.warm -= on.is_warm;
  on.is_warm = false;
}

// The thread that runs here could be unmounted and leaves for the target: is it to stay mounted?
[[nodiscard]] inline bool stays_warm(runtime& rt, const carrier& here,
                                     const carrier* target) noexcept {
  const std::size_t most = rt.configured.warm_stacks;
  return rt.warm < most || (here.was_away < most && unmount_a_cold_one(rt, target));
}

}  // namespace luacoro
