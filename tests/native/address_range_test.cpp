#include "stacks/address_range.h"

#include <gtest/gtest.h>

namespace luacoro {
namespace {

TEST(AddressRange, NamesEveryNumberByAnotherAddress) {
  const address_range range(4096);
  ASSERT_TRUE(range);
  for (std::size_t i = 0; i < 4096; ++i) EXPECT_EQ(range.number(range.name(i)), i);
}

TEST(AddressRange, FindsOtherAddressesBeyondItsSize) {
  const address_range range(4096), other(4096);
  int local = 0;
  EXPECT_GE(range.number(&local), 4096u);
  EXPECT_GE(range.number(nullptr), 4096u);
  EXPECT_GE(range.number(other.name(0)), 4096u);
}

TEST(AddressRange, BeginsAtAMultipleOfItsSize) {
  const address_range range(std::size_t{1} << 25);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(range.name(0)) % (std::size_t{1} << 25), 0u);
}

TEST(AddressRange, IsEmptyWhereThereIsNoRoom) { EXPECT_FALSE(address_range(std::size_t{1} << 60)); }

}  // namespace
}  // namespace luacoro
