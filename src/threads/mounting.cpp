#include "threads/mounting.h"

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

bool unmount_a_cold_one(runtime& rt, const carrier* target) noexcept {
  if (++rt.looked_at >= rt.pool.size()) rt.looked_at = 1;
  carrier& next = *rt.pool.at(rt.looked_at);
  const bool is_cold = &next != target && next.suspended != nullptr && next.is_warm &&
                       rt.switches - next.wait > cold_factor * rt.configured.warm_stacks;
  if (is_cold) unmount(rt, next);
  return is_cold;
}

}  // namespace luacoro
