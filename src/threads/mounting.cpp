#include "threads/mounting.h"

#include "threads/collection.h"

namespace luacoro {

void unmount(runtime& rt, carrier& on) noexcept {
  carrier& here = *rt.current;
  on.suspended = nullptr;
  rt.warm -= on.is_warm;
  rt.arriving = arrival::to_unmount;
  rt.leave_for = &here;
  rt.current = &on;
  switch_context(here.left_at, on.left_at);
}

namespace {

carrier& next_in_turn(runtime& rt) noexcept {
  if (++rt.looked_at >= rt.pool.size()) rt.looked_at = 1;
  return *rt.pool.at(rt.looked_at);
}

// What the collector has found unreachable may be freed already, though nobody was told so far. And
// on LuaJIT a thread that could be unmounted when it left cannot be while a finalizer or a hook
// runs: can_yield knows.
bool can_be_unmounted(const runtime& rt, const carrier& c, const carrier* target) noexcept {
  return &c != target && c.suspended != nullptr && c.is_warm && base_lives(rt, c) &&
         lua::can_yield(c.suspended, rt.layout);
}

}  // namespace

bool unmount_a_warm_one(runtime& rt, const carrier* target) noexcept {
  for (std::size_t looks = 1; looks < rt.pool.size(); ++looks) {
    carrier& c = next_in_turn(rt);
    if (!can_be_unmounted(rt, c, target)) continue;
    unmount(rt, c);
    return true;
  }
  return false;
}

bool unmount_a_cold_one(runtime& rt, const carrier* target) noexcept {
  carrier& c = next_in_turn(rt);
  const std::uint64_t age = rt.switches - c.wait;
  if (age <= cold_factor * rt.configured.warm_stacks || !can_be_unmounted(rt, c, target))
    return false;
  unmount(rt, c);
  return true;
}

}  // namespace luacoro
