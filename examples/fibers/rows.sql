-- Elements are masks over two points: 1 and 2 are the claims, 3 is both. The columns are those of the store.
INSERT INTO fiber_elements VALUES
  ('whole', 0), ('whole', 1), ('whole', 2), ('whole', 3),
  ('early', 0), ('early', 1);
INSERT INTO fiber_meet VALUES
  ('whole', 0, 0, 0), ('whole', 0, 1, 0), ('whole', 0, 2, 0), ('whole', 0, 3, 0),
  ('whole', 1, 0, 0), ('whole', 1, 1, 1), ('whole', 1, 2, 0), ('whole', 1, 3, 1),
  ('whole', 2, 0, 0), ('whole', 2, 1, 0), ('whole', 2, 2, 2), ('whole', 2, 3, 2),
  ('whole', 3, 0, 0), ('whole', 3, 1, 1), ('whole', 3, 2, 2), ('whole', 3, 3, 3),
  ('early', 0, 0, 0), ('early', 0, 1, 0),
  ('early', 1, 0, 0), ('early', 1, 1, 1);
INSERT INTO fiber_join VALUES
  ('whole', 0, 0, 0), ('whole', 0, 1, 1), ('whole', 0, 2, 2), ('whole', 0, 3, 3),
  ('whole', 1, 0, 1), ('whole', 1, 1, 1), ('whole', 1, 2, 3), ('whole', 1, 3, 3),
  ('whole', 2, 0, 2), ('whole', 2, 1, 3), ('whole', 2, 2, 2), ('whole', 2, 3, 3),
  ('whole', 3, 0, 3), ('whole', 3, 1, 3), ('whole', 3, 2, 3), ('whole', 3, 3, 3),
  ('early', 0, 0, 0), ('early', 0, 1, 1),
  ('early', 1, 0, 1), ('early', 1, 1, 1);
INSERT INTO fiber_impl VALUES
  ('whole', 0, 0, 3), ('whole', 0, 1, 3), ('whole', 0, 2, 3), ('whole', 0, 3, 3),
  ('whole', 1, 0, 2), ('whole', 1, 1, 3), ('whole', 1, 2, 2), ('whole', 1, 3, 3),
  ('whole', 2, 0, 1), ('whole', 2, 1, 1), ('whole', 2, 2, 3), ('whole', 2, 3, 3),
  ('whole', 3, 0, 0), ('whole', 3, 1, 1), ('whole', 3, 2, 2), ('whole', 3, 3, 3),
  ('early', 0, 0, 1), ('early', 0, 1, 1),
  ('early', 1, 0, 0), ('early', 1, 1, 1);
-- Saturation and transfer leave every element as it is.
INSERT INTO nuclei VALUES
  ('whole', 0, 0, 0), ('whole', 1, 1, 1), ('whole', 2, 2, 2), ('whole', 3, 3, 3),
  ('early', 0, 0, 0), ('early', 1, 1, 1);
INSERT INTO restriction_maps VALUES
  ('whole', 'early', 0, 0), ('whole', 'early', 1, 1), ('whole', 'early', 2, 0), ('whole', 'early', 3, 1);
