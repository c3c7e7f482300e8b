"""Dynamic Tuning in mmpretrain, mmsegmentation and mmaction2, a file each."""
