#include "stacks/c_stack.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace luacoro {
namespace {

constexpr std::size_t size = std::size_t{2} << 20;

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

char* lowest_usable(const c_stack& stack) {
  return static_cast<char*>(stack.start()) - stack.size();
}

TEST(CStack, IsWritableOverItsWholeSize) {
  const c_stack stack = c_stack::map(size, 0);
  ASSERT_TRUE(stack);
  EXPECT_GE(stack.size(), size);
  std::memset(lowest_usable(stack), 1, stack.size());
}

TEST(CStack, IsEmptyByDefaultAndAfterAMove) {
  c_stack none;
  EXPECT_FALSE(none);
  c_stack stack = c_stack::map(size, 0);
  void* start = stack.start();
  none = std::move(stack);
  EXPECT_FALSE(stack);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(none.start(), start);
}

TEST(CStack, RoundsItsSizeUpToPages) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  EXPECT_EQ(c_stack::map(1, 0).size(), page);
  EXPECT_EQ(c_stack::map(page + 1, 0).size(), 2 * page);
}

TEST(CStack, StartsAtAnotherCacheLineForEveryColour) {
  std::set<std::uintptr_t> offsets;
  for (unsigned colour = 0; colour < c_stack::colours; ++colour) {
    const c_stack stack = c_stack::map(size, colour);
    const auto start = reinterpret_cast<std::uintptr_t>(stack.start());
    EXPECT_EQ(start % 64, 0u);
    offsets.insert(start % 4096);
  }
  EXPECT_EQ(offsets.size(), c_stack::colours);
}

TEST(CStack, CommitsOnlyWhatIsTouched) {
  const std::size_t before = resident_bytes();
  std::vector<c_stack> stacks;
  for (unsigned i = 0; i < 200; ++i) {
    stacks.push_back(c_stack::map(size, i));
    static_cast<char*>(stacks.back().start())[-1] = 1;
  }
  // Two pages each at the most: the touched one, and what the kernel keeps to find it.
  EXPECT_LT(resident_bytes() - before, 200 * std::size_t{3} * 4096);
}

TEST(CStack, GivesItsMemoryBack) {
  const std::size_t before = resident_bytes();
  for (unsigned i = 0; i < 200; ++i) {
    const c_stack stack = c_stack::map(size, i);
    std::memset(lowest_usable(stack), 1, stack.size());
  }
  EXPECT_LT(resident_bytes(), before + 2 * size);
}

TEST(CStack, GivesBackWhatWasUsedDeeply) {
  std::vector<c_stack> stacks;
  for (unsigned i = 0; i < 50; ++i) stacks.push_back(c_stack::map(size, i));
  const std::size_t before = resident_bytes();
  for (const c_stack& stack : stacks) std::memset(lowest_usable(stack), 1, stack.size());
  EXPECT_GT(resident_bytes(), before + 50 * (size - c_stack::kept));
  for (c_stack& stack : stacks) stack.give_back_depths();
  EXPECT_LT(resident_bytes(), before + 51 * (c_stack::kept + 4096));
  for (const c_stack& stack : stacks) {
    const auto* start = static_cast<const char*>(stack.start());
    EXPECT_EQ(start[-static_cast<std::ptrdiff_t>(c_stack::kept - 4096)], 1);  // is still there
    *lowest_usable(stack) = 1;                                                // can be used again
  }
}

TEST(CStack, TwentyThousandFitUnderTheDefaultLimitOfMappings) {
  std::vector<c_stack> stacks;
  for (unsigned i = 0; i < 20000; ++i) {
    stacks.push_back(c_stack::map(size, i));
    ASSERT_TRUE(stacks.back()) << i << ": " << std::strerror(errno);
  }
  EXPECT_LT(mappings(), 65530u);
}

TEST(CStack, IsEmptyWithACauseWhereTheSystemHasNoRoom) {
  const c_stack stack = c_stack::map(std::size_t{1} << 60, 0);
  EXPECT_FALSE(stack);
  EXPECT_EQ(errno, ENOMEM);
}

TEST(CStackDeathTest, EndsTheProcessWhenItIsRunOver) {
  const c_stack stack = c_stack::map(size, 0);
  // Up to a page more than asked for is usable; then come 64 KB of guard.
  for (const std::size_t beyond : {2 * 4096, 65536}) {
    volatile char* below = lowest_usable(stack) - beyond;
    EXPECT_DEATH(*below = 1, "");
  }
}

}  // namespace
}  // namespace luacoro
