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
// unmounted thread waits, or on which carrier a mounted one is; the carrier must say the same.
#pragma once

#include "threads/carrier.h"
#include "threads/runtime.h"

namespace luacoro {

inline constexpr std::size_t unmounted_tickets = std::size_t{2} * waiting_kinds;
inline constexpr std::size_t ticket_names = std::size_t{1} << 24;
inline constexpr std::size_t most_carriers = ticket_names - unmounted_tickets - 1;

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
};

// The rest of `find`: a thread without a ticket.
[[nodiscard]] standing find_without_ticket(lua_State* T) noexcept;

// Where a thread stands. The one that asks finds itself busy.
[[nodiscard]] inline place find(const runtime& rt, lua_State* T) noexcept {
  if (lua_gettop(T) > 0) {
    const std::size_t ticket = rt.names.number(lua_touserdata(T, -1));
    const std::size_t index = ticket - unmounted_tickets;
    if (index < rt.pool.size()) [[likely]] {
      carrier* on = rt.pool.at(index);
      if (on->suspended == T) [[likely]]
        return {standing::mounted, on->how, false, on};
      return {};  // it was collected and brought back by a finalizer, and its C stack is gone
    }
    if (ticket < unmounted_tickets)
      return {standing::unmounted, static_cast<waiting>(ticket / 2), ticket % 2 != 0, nullptr};
  }
  return {find_without_ticket(T), waiting::transfer, false, nullptr};
}

// The number of the wait that the thread is in; 0 if it waits for none that it resumed.
[[nodiscard]] inline std::uint64_t wait_of(lua_State* T, const place& at) noexcept {
  if (at.on != nullptr) return at.on->wait;
  if (at.where != standing::unmounted || !is_normal(at.how)) return 0;
  return static_cast<std::uint64_t>(lua_tonumber(T, -2));
}

// Would it take what the thread that it resumed in this wait yields?
[[nodiscard]] inline bool takes_yields(lua_State* T, const place& at, std::uint64_t wait) noexcept {
  return wait_of(T, at) == wait && at.how != waiting::close;
}

struct thread_link {
  resumer_link resumer;
  unsigned depth = 0;
};

// The link of a suspended thread, or of the base below it.
[[nodiscard]] inline thread_link link_of(lua_State* T, const place& at) noexcept {
  if (at.on != nullptr) return {at.on->resumer, at.on->depth};
  if (!at.linked) return {};
  const int depth = is_normal(at.how) ? -3 : -2;
  return {{lua_tothread(T, depth - 2), static_cast<std::uint64_t>(lua_tonumber(T, depth - 1))},
          static_cast<unsigned>(lua_tointeger(T, depth))};
}

inline void push_mounted_ticket(runtime& rt, lua_State* T, const carrier& on) noexcept {
  lua_pushlightuserdata(T, rt.names.name(unmounted_tickets + on.index));
}

// With everything that belongs to it.                                              T: [-0, +1..5]
void push_unmounted_ticket(runtime& rt, lua_State* T, waiting how, std::uint64_t wait,
                           const thread_link& link) noexcept;

// The thread itself, on the stack of another one.                                     to: [-0, +1]
inline void push_thread(lua_State* to, lua_State* T) noexcept {
  lua_pushthread(T);
  if (to != T) lua_xmove(T, to, 1);
}

}  // namespace luacoro
