# EXIT 3
# ERROR plain: expected a function train_step or infer, found neither
cat >plain.lmir <<'END'
module @plain
func @f(%x : f32[B, 4]) -> (y : f32[B, 4]) {
  %y = negate %x : f32[B, 4]
  return %y
}
END
"$LAMINA" bench plain.lmir
