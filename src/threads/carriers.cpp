#include "threads/carriers.h"

#include <cerrno>
#include <new>
#include <utility>

namespace luacoro {

carriers::carriers(runtime& home, carrier& host, entry_function entry)
    : home_(&home), entry_(entry), table_{&host} {
  host.home = &home;
}

carriers::growth carriers::grow(std::size_t stack_size) noexcept try {
  if (vacant_.empty()) {
    if (table_.size() == table_.capacity()) {
      // Whatever becomes of the new ones later, there is room to note it.
      const std::size_t room = table_.size() * 2;
      idle_.reserve(room);
      vacant_.reserve(room);
      table_.reserve(room);
    }
    auto* made = new carrier;
    made->home = home_;
    made->index = static_cast<unsigned>(table_.size());
    table_.push_back(made);
    vacant_.push_back(made);
  }
  carrier& c = *vacant_.back();
  c.stack = c_stack::map(stack_size, c.index);
  if (!c.stack) return growth::no_mapping;
  prepare_context(c.left_at, c.stack, entry_, &c);
  vacant_.pop_back();
  idle_.push_back(&c);
  return growth::grown;
} catch (const std::bad_alloc&) {
  return growth::no_memory;
}

void carriers::put_idle(carrier& c, std::size_t kept) noexcept {
  c.base = nullptr;
  c.suspended = nullptr;
  c.resumer = {};
  c.unwinding = {};
  c.closes = 0;
  c.was_used = true;
  if (idle_.size() > kept) {
    give_back(*idle_.front());
    idle_.erase(idle_.begin());
  }
  idle_.push_back(&c);
}

void carriers::abandon(carrier& c, std::size_t kept) noexcept {
  prepare_context(c.left_at, c.stack, entry_, &c);
  put_idle(c, kept);
}

void carriers::give_back_depths() noexcept {
  for (carrier* c : idle_) {
    if (std::exchange(c->was_used, false)) c->stack.give_back_depths();
  }
}

void carriers::give_back_idle() noexcept {
  for (carrier* c : idle_) give_back(*c);
  idle_.clear();
}

void carriers::give_back(carrier& c) noexcept {
  c.left_at.tools.forget();
  c.stack = c_stack();
  vacant_.push_back(&c);
}

void carriers::close(const carrier* standing_on) noexcept {
  for (carrier* c : table_) {
    if (c == standing_on || c->index == 0) continue;
    delete c;
  }
  // Nobody will destroy them: not only empty, but without memory.
  for (std::vector<carrier*>* list : {&table_, &idle_, &vacant_})
    std::vector<carrier*>().swap(*list);
}

}  // namespace luacoro
