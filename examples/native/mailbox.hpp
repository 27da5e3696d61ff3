// A C++ class as any other. post.i binds it.
#pragma once

#include <luacoro/luacoro.hpp>

#include <deque>
#include <string>

class mailbox {
 public:
  // Whoever waits longest gets it, and runs until it waits again. Called by main. MAY SWITCH.
  void put(const std::string& letter) {
    letters_.push_back(letter);
    while (!readers_.empty()) {
      luacoro::completer reader = std::move(readers_.front());
      readers_.pop_front();
      if (reader.complete()) return;  // or else it was closed meanwhile
    }
  }

  [[nodiscard]] int size() const { return static_cast<int>(letters_.size()); }

  // The oldest letter. The current coroutine waits until there is one. MAY SWITCH.
  std::string take(lua_State* L) {
    while (letters_.empty()) {
      luacoro::waiter waiter(L);
      readers_.push_back(waiter.get_completer());
      waiter.suspend();
    }
    std::string letter = std::move(letters_.front());
    letters_.pop_front();
    return letter;
  }

 private:
  std::deque<std::string> letters_;
  std::deque<luacoro::completer> readers_;
};
