// What a suspended thread carries on top of its own Lua stack, and how any thread is found by it.
// Floor 3.
//
// There is no table of threads: a thread that coro suspended says so itself, by the ticket that is
// the topmost value of its Lua stack. An address of a thread may be reused by another one at any
// time; a ticket is on no stack that coro did not put it on.
//
//   mounted      ... [slots of the C function] [anchors] ticket    the rest stands in the carrier
//   unmounted    ... [slots of the C function] [resumer, its wait, depth] [own wait] ticket
//                                                if it has one        if is_normal
//
// A ticket is a light userdata made of an address that nobody else has. Its number says how an
// unmounted thread waits and since when, or on which carrier a mounted one is; the carrier must say
// the same.
#pragma once

#include "threads/carrier.h"
#include "threads/runtime.h"

namespace luacoro {

inline constexpr std::size_t ticket_names = std::size_t{1} << 25;
// Half of them for unmounted threads: the time, the way to wait, whether there is a resumer.
inline constexpr std::size_t unmounted_tickets = ticket_names / 2;
inline constexpr std::size_t ticket_kinds = 16;
static_assert(std::size_t{waiting_kinds} * 2 <= ticket_kinds);
inline constexpr std::size_t most_carriers = ticket_names - unmounted_tickets - 1;

// The host's, for a thread that is not the one that waits there: it is dead.
inline constexpr std::size_t ticket_of_nobody = unmounted_tickets;

// Time passes by switches. Tickets tell it by ticks, and begin anew after so many.
inline constexpr std::uint64_t switches_per_tick = 16;
inline constexpr std::uint64_t ticks = unmounted_tickets / ticket_kinds;

enum class standing : std::uint8_t {
  mounted,    // suspended by coro, with its C stack
  unmounted,  // suspended by coro, without
  fresh,      // not started
  yielded,    // suspended by the standard yield, or by a host's lua_yield
  busy,       // running, or running another thread by a standard resume
  dead
};

struct place {
  standing where = standing::dead;
  waiting how = waiting::transfer;  // mounted, unmounted
  bool linked = false;              // unmounted: has a resumer
  carrier* on = nullptr;            // mounted: never null
  std::size_t tick = 0;             // unmounted: since when
};

// Where a thread stands. The one that asks finds itself busy.
[[nodiscard]] place find(const runtime& rt, lua_State* T) noexcept;
[[nodiscard]] place find(const runtime& rt, lua_State* T, std::size_t ticket) noexcept;

// The number of the ticket that a thread has, or something beyond all tickets.
template <typename Access = lua::by_api>
[[nodiscard, gnu::always_inline]] inline std::size_t ticket_of(const runtime& rt,
                                                               lua_State* T) noexcept {
  return rt.names.number(Access::name_on_top(T, rt.layout));
}

// The carrier that a thread with this ticket is mounted on, if it is.
[[nodiscard, gnu::always_inline]] inline carrier* mounted_on(const runtime& rt, lua_State* T,
                                                             std::size_t ticket) noexcept {
  const std::size_t index = ticket - unmounted_tickets;
  if (index >= rt.pool.size()) [[unlikely]]
    return nullptr;
  carrier* on = rt.pool.at(index);
  return on->suspended == T ? on : nullptr;
}

[[nodiscard]] constexpr bool is_unmounted(std::size_t ticket) noexcept {
  return ticket < unmounted_tickets;
}

// The place of an unmounted thread by its ticket.
[[nodiscard, gnu::always_inline]] inline place unmounted_place(std::size_t ticket) noexcept {
  return {.where = standing::unmounted,
          .how = static_cast<waiting>(ticket % ticket_kinds / 2),
          .linked = ticket % 2 != 0,
          .tick = ticket / ticket_kinds};
}

// How many switches ago an unmounted thread began to wait, in whole ticks.
[[nodiscard]] inline std::uint64_t time_since(const runtime& rt, std::size_t tick) noexcept {
  return (rt.switches / switches_per_tick - tick) % ticks * switches_per_tick;
}

// The number of the wait that the thread is in; 0 if it waits for none that it resumed.
[[nodiscard]] inline std::uint64_t wait_of(lua_State* T, const place& at) noexcept {
  if (at.on != nullptr) return at.on->wait;
  if (at.where != standing::unmounted || !is_normal(at.how)) return 0;
  return static_cast<std::uint64_t>(lua_tonumber(T, -2));
}

// The carrier that the resumer is mounted on, if it still waits and is where it was.
[[nodiscard, gnu::always_inline]] inline carrier* waits_mounted(const resumer_link& link) noexcept {
  carrier* on = link.on;
  const bool waits = on != nullptr && on->wait == link.wait && on->suspended == link.thread;
  return waits ? on : nullptr;
}

// Where the resumer waits; nowhere (`dead`) if it does not wait any more.
[[nodiscard]] place find_resumer(const runtime& rt, const resumer_link& link) noexcept;

// Is somebody there, and would take what is passed? Not who closes another thread.
[[nodiscard]] inline bool takes_values(const place& at) noexcept {
  return at.where != standing::dead && at.how != waiting::close;
}

// C code called main on a coroutine's C stack, and it was suspended there: what lies below, on the
// host's C stack, cannot go on before that is over.
[[nodiscard]] inline bool host_is_buried(const runtime& rt) noexcept { return rt.buried_wait != 0; }

// Main as a target: what is suspended on the host's C stack, or main itself where that is buried.
[[nodiscard]] lua_State* thread_of_host(const runtime& rt) noexcept;

struct thread_link {
  resumer_link resumer;
  unsigned depth = 0;
};

// The link of a suspended thread, or of the base below it.
[[nodiscard]] inline thread_link link_of(lua_State* T, const place& at) noexcept {
  if (at.on != nullptr) return {at.on->resumer, at.on->depth};
  if (!at.linked) return {};
  const int depth = is_normal(at.how) ? -3 : -2;
  return {.resumer = {.thread = lua_tothread(T, depth - 2),
                      .wait = static_cast<std::uint64_t>(lua_tonumber(T, depth - 1))},
          .depth = static_cast<unsigned>(lua_tointeger(T, depth))};
}

// The same if it still holds. Nothing but the stack of a suspended thread keeps alive who resumed
// it and waits no more, so nobody may go on with such a link.
[[nodiscard]] thread_link while_it_holds(const runtime& rt, const thread_link& link) noexcept;

// The thread itself, on the stack of another one.                                     to: [-0, +1]
template <typename Access = lua::by_api>
inline void push_thread(lua_State* to, lua_State* T) noexcept {
  Access::push_thread(to, T);
}

// The number of values that a suspended thread has on top for its ticket.
[[nodiscard]] int size_of_ticket(const runtime& rt, lua_State* T, const place& at) noexcept;

// Must a thread keep its resumer alive? Main always is.
[[nodiscard]] inline bool needs_anchor(const runtime& rt, const resumer_link& resumer) noexcept {
  return resumer.thread != nullptr && resumer.thread != rt.main;
}

// With the anchor of the resumer, if it needs one.                                  T: [-0, +1..2]
template <typename Access = lua::by_api>
[[gnu::always_inline]] inline void push_mounted_ticket(runtime& rt, lua_State* T,
                                                       const carrier& on) noexcept {
  if (needs_anchor(rt, on.resumer)) push_thread<Access>(T, on.resumer.thread);
  Access::push_name(T, rt.names.name(unmounted_tickets + on.index), rt.layout);
}

void push_link(lua_State* T, const thread_link& link) noexcept;  // [-0, +3]

// With everything that belongs to it.                                              T: [-0, +1..5]
template <typename Access = lua::by_api>
[[gnu::always_inline]] inline void push_unmounted_ticket(runtime& rt, lua_State* T, waiting how,
                                                         std::uint64_t wait,
                                                         const thread_link& link) noexcept {
  const bool linked = link.resumer.thread != nullptr;
  if (linked) push_link(T, link);
  if (is_normal(how)) lua_pushnumber(T, static_cast<lua_Number>(wait));
  const std::size_t tick = rt.switches / switches_per_tick % ticks;
  const std::size_t kind = static_cast<std::size_t>(how) * 2 + (linked ? 1 : 0);
  Access::push_name(T, rt.names.name(tick * ticket_kinds + kind), rt.layout);
}

}  // namespace luacoro
