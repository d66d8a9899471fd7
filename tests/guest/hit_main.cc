// Makes a program of hit_sample.cc, which is not run but looked at: it keeps the linker from leaving the function out.
extern "C" void local_hit();

void (*volatile kept)() = &local_hit;

int main() { return kept != nullptr ? 0 : 1; }
