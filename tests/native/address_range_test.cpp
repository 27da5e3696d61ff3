#include "stacks/address_range.h"

#include <gtest/gtest.h>

namespace luacoro {
namespace {

TEST(AddressRange, NamesEveryNumberByAnotherAddress) {
  const address_range range(1000);
  ASSERT_TRUE(range);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(range.number(range.name(i)), i);
}

TEST(AddressRange, FindsOtherAddressesBeyondItsSize) {
  const address_range range(1000), other(1000);
  int local = 0;
  EXPECT_GE(range.number(&local), 1000u);
  EXPECT_GE(range.number(nullptr), 1000u);
  EXPECT_GE(range.number(other.name(0)), 1000u);
}

TEST(AddressRange, IsEmptyWhereThereIsNoRoom) { EXPECT_FALSE(address_range(std::size_t{1} << 60)); }

}  // namespace
}  // namespace luacoro
