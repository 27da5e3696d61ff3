// All carriers of a Lua universe: which there are, which are idle.
// Floor 3. Owns the C stacks. Idle ones are used again last in, first out, while they are warm.
// Nothing here raises or switches.
#pragma once

#include <cstddef>
#include <vector>

#include "threads/carrier.h"

namespace luacoro {

class carriers {
 public:
  // `entry(carrier)` runs at the bottom of every C stack.
  carriers(runtime& home, carrier& host, entry_function entry);
  carriers(const carriers&) = delete;
  carriers& operator=(const carriers&) = delete;
  ~carriers() { close(nullptr); }

  // An idle carrier, ready to be switched to; nullptr if there is none.
  [[nodiscard]] carrier* take() noexcept {
    if (idle_.empty()) return nullptr;
    carrier* c = idle_.back();
    idle_.pop_back();
    return c;
  }

  enum class growth { grown, no_mapping, no_memory };
  // One idle carrier more. Where the system has no mapping, errno tells why.
  [[nodiscard]] growth grow(std::size_t stack_size) noexcept;

  // The carrier is left inside `entry`, which goes on when it is taken and switched to. It may be
  // the one that runs. Beyond `kept` idle stacks the one idle for longest goes back to the system.
  void put_idle(carrier& c, std::size_t kept) noexcept;
  // The frames on it are dropped; `entry` starts anew when it is taken. Never the one that runs.
  void abandon(carrier& c, std::size_t kept) noexcept;
  // What idle stacks have touched beyond c_stack::kept goes back to the system. Cost: a call of the
  // system for each that was used since the last time.
  void give_back_depths() noexcept;
  // Gives back the stacks of all idle carriers.
  void give_back_idle() noexcept;
  // Gives back everything but what `standing_on` needs to go on.
  void close(const carrier* standing_on) noexcept;

  [[nodiscard]] carrier* at(std::size_t index) const noexcept { return table_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
  [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
  [[nodiscard]] std::size_t in_use() const noexcept {
    return table_.size() - 1 - vacant_.size() - idle_.size();
  }

 private:
  void give_back(carrier& c) noexcept;

  runtime* home_;
  entry_function entry_;
  std::vector<carrier*> table_;   // by index, the host first
  std::vector<carrier*> idle_;    // with a stack
  std::vector<carrier*> vacant_;  // without one
};

}  // namespace luacoro
