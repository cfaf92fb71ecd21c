# what popd/ makes
