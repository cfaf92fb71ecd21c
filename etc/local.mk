# what etc/ makes
