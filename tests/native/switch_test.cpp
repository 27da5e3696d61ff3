#include "switch/context.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace luacoro {
namespace {

// Runs a function on a C stack of its own, with a way back and forth.
class other_side {
 public:
  explicit other_side(void (*body)(other_side&)) : body_(body) {
    prepare_context(there_, stack_, &other_side::run, this);
  }
  void go() { switch_context(here_, there_); }
  void back() { switch_context(there_, here_); }

  std::string log;
  int value = 0;

 private:
  static void run(void* argument) {
    auto& self = *static_cast<other_side*>(argument);
    self.body_(self);
    self.back();
    std::terminate();  // an entry function is not gone on with
  }

  c_stack stack_ = c_stack::map(std::size_t{1} << 20, 3);
  context here_, there_;
  void (*body_)(other_side&);
};

TEST(Switch, GoesBackAndForth) {
  other_side other([](other_side& self) {
    self.log += "a";
    self.back();
    self.log += "b";
  });
  other.go();
  other.log += "1";
  other.go();
  EXPECT_EQ(other.log, "a1b");
}

TEST(Switch, KeepsLocalVariablesOfBothSides) {
  other_side other([](other_side& self) {
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7;
    double x = 0.5, y = 0.25;
    for (int i = 0; i < 1000; ++i) {
      self.back();
      a += b, b += c, c += d, d += e, e += f, f += g, g += 1;
      x *= 1.001, y += x;
    }
    self.value = static_cast<int>((a ^ b ^ c ^ d ^ e ^ f ^ g) & 0xffff) + (y > 0 ? 1 : 0);
  });
  const auto expected = [] {
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7;
    for (int i = 0; i < 1000; ++i) a += b, b += c, c += d, d += e, e += f, f += g, g += 1;
    return static_cast<int>((a ^ b ^ c ^ d ^ e ^ f ^ g) & 0xffff) + 1;
  }();
  long sum = 0;
  double product = 1;
  for (int i = 0; i <= 1000; ++i) {
    sum += i;
    product *= 1.0001;
    other.go();
  }
  EXPECT_EQ(other.value, expected);
  EXPECT_EQ(sum, 500500);
  EXPECT_GT(product, 1.1);
}

TEST(Switch, RunsAMillionTimesBetweenManyContexts) {
  struct ring {
    std::vector<context> contexts = std::vector<context>(10);
    std::vector<c_stack> stacks;
    context host;
    std::size_t at = 0, left = 1000000;
  } r;
  const auto entry = [](void* argument) {
    auto& all = *static_cast<ring*>(argument);
    for (;;) {
      const std::size_t here = all.at;
      if (--all.left == 0) {
        switch_context(all.contexts[here], all.host);
      } else {
        all.at = (here + 1) % all.contexts.size();
        switch_context(all.contexts[here], all.contexts[all.at]);
      }
    }
  };
  for (unsigned i = 0; i < r.contexts.size(); ++i) {
    r.stacks.push_back(c_stack::map(std::size_t{1} << 18, i));
    prepare_context(r.contexts[i], r.stacks[i], entry, &r);
  }
  switch_context(r.host, r.contexts[0]);
  EXPECT_EQ(r.left, 0u);
}

TEST(Switch, LetsExceptionsBeThrownAndCaughtOnAnyStack) {
  other_side other([](other_side& self) {
    try {
      self.back();
      throw std::runtime_error("there");
    } catch (const std::exception& e) {
      self.log += e.what();
    }
  });
  other.go();
  try {
    other.go();
    throw std::runtime_error("here");
  } catch (const std::exception& e) {
    other.log += e.what();
  }
  EXPECT_EQ(other.log, "therehere");
}

// Two catch blocks that are left for each other: what each finds in flight when it goes on.
std::string leave_catch_blocks() {
  other_side other([](other_side& self) {
    try {
      throw std::runtime_error("there");
    } catch (...) {
      self.back();  // with our exception caught
      try {
        throw;
      } catch (const std::exception& e) {
        self.log += e.what();
      }
    }
  });
  try {
    throw std::runtime_error("here ");
  } catch (...) {
    other.go();
    try {
      throw;
    } catch (const std::exception& e) {
      other.log += e.what();
    }
    other.go();
  }
  return other.log;
}

TEST(Switch, KeepsTheExceptionOfACatchBlockThatWasLeft) {
  EXPECT_EQ(leave_catch_blocks(), "here there");
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(Switch, KeepsTheExceptionsOfEveryOsThread) {
  const auto body = [] {
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(leave_catch_blocks(), "here there");
  };
  std::thread first(body), second(body);
  first.join();
  second.join();
}

TEST(Switch, KeepsTheCountOfExceptionsInFlight) {
  struct leaves_while_unwinding {
    other_side& self;
    ~leaves_while_unwinding() {
      self.log += std::to_string(std::uncaught_exceptions());
      self.back();
      self.log += std::to_string(std::uncaught_exceptions());
    }
  };
  other_side other([](other_side& self) {
    try {
      leaves_while_unwinding leaver{self};
      throw 1;
    } catch (int) {
    }
    self.log += std::to_string(std::uncaught_exceptions());
  });
  other.go();
  other.log += std::to_string(std::uncaught_exceptions());
  other.go();
  EXPECT_EQ(other.log, "1010");
}

TEST(Switch, WorksOnEveryOsThread) {
  const auto body = [] {
    other_side other([](other_side& self) {
      for (;;) {
        ++self.value;
        self.back();
      }
    });
    for (int i = 0; i < 100000; ++i) other.go();
    EXPECT_EQ(other.value, 100000);
  };
  std::thread first(body), second(body);
  first.join();
  second.join();
}

}  // namespace
}  // namespace luacoro
