// How often the instance of an object with a home is made: once in each epoch of its home.
#pragma once

#include "ebb/object/directory.h"
#include "ebb/object/home.h"

namespace ebb::sim {

/// The cluster's own list, which tells apart the objects that have an id one after the other; nullptr: nothing is noted any more.
void note_constructions_by(Directory* list);
/// An instance was made here, now, for the home that this node knows. Complains if it is the second one of that epoch. May wait.
void note_construction(ObjectId id);
/// The next instance may be of the same epoch: the object was dropped.
void forget_constructions(ObjectId id);

/// A home that notes whenever its instance is made.
template <class Home>
struct noted : Home {
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    T* made = Home::template on_miss<T>(id, root);
    note_construction(id);
    return made;
  }
};

}  // namespace ebb::sim
