"""An emulated AWS that refuses what AWS would refuse."""
