// The switch by Boost.Context's fcontext: portable, and the one place that names Boost.
// Floor 2.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include "stacks/c_stack.h"
#include "switch/instrumentation.h"

namespace luacoro {

using entry_function = void (*)(void* argument);

struct context {
  boost::context::detail::fcontext_t where = nullptr;  // valid while nobody runs here
  entry_function entry = nullptr;
  void* argument = nullptr;
  [[no_unique_address]] instrumentation tools;
};

namespace boost_switch {

struct travel {
  context* from;
  context* to;
};

// The side that arrives notes where the other one was left.
inline const travel& arrive(boost::context::detail::transfer_t transfer) noexcept {
  const auto& made = *static_cast<const travel*>(transfer.data);
  made.from->where = transfer.fctx;
  return made;
}

inline void begin(boost::context::detail::transfer_t transfer) {
  context& here = *arrive(transfer).to;
  here.tools.arrive();
  here.entry(here.argument);
}

}  // namespace boost_switch

// The first switch to `context` calls entry(argument) on `stack`.
inline void prepare_context(context& context, const c_stack& stack, entry_function entry,
                            void* argument) noexcept {
  context.entry = entry;
  context.argument = argument;
  context.tools.begin_on(stack);
  context.where =
      boost::context::detail::make_fcontext(stack.start(), stack.size(), &boost_switch::begin);
}

inline void jump(context& from, context& to) noexcept {
  boost_switch::travel travel{&from, &to};
  boost_switch::arrive(boost::context::detail::jump_fcontext(to.where, &travel));
}

}  // namespace luacoro
